"""The parameters of a run in MLflow: a dozen that identify it, and the options that differ from their defaults.

Every option with its value is in config.yaml, and in the run's tags: see `tracking.options`.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import Trainer

from reparam_suite.runtime.plain_data import plain
from reparam_suite.training import CheckpointSettings, RecordSettings

_CLASS, _ARGUMENTS = "class_path", "init_args"

_ALWAYS = ("latent_size", "learning_rate", "objective", "data.batch_size")
"""Options of model and data that are parameters whatever their value."""
_OF_THE_DATA = ("event_shape", "likelihood")
"""Options of a model that say what the data are."""
_WITHOUT_LIMIT = -1

_MISSING = inspect.Parameter.empty


def short_parameters(config: Mapping[str, Any], *, estimator: str, model: str, data: str) -> dict[str, Any]:
    """Parameters by short name: `learning_rate`, `estimator.num_samples`, `batch_size`, `gradient_clip_val`.

    Args:
        config: every option of the run, in plain types, nested.
        estimator: the estimator's short name.
        model: the name of the model's class.
        data: the name of the data set.
    """
    trainer = dict(config["trainer"])
    limits = {name: trainer.pop(name, _WITHOUT_LIMIT) for name in ("max_steps", "max_epochs")}
    found: dict[str, Any] = {"estimator": estimator, "model": model, "data": data, "seed": config["seed"]}
    found |= {name: limit for name, limit in limits.items() if limit not in (None, _WITHOUT_LIMIT)}
    of_model = {
        name: value for name, value in _differing(config["model"]) if name.partition(".")[0] not in _OF_THE_DATA
    }
    of_data = {f"data.{name}": value for name, value in _differing(config["data"]) if name not in _OF_THE_DATA}
    of_model.pop("estimator", None)  # by its short name already
    told_above = {name: value for name, value in of_model.items() if "." not in name}
    of_model = {
        name: value
        for name, value in of_model.items()
        if name in told_above or told_above.get(name.rpartition(".")[2], _MISSING) != value
    }
    defaults = {name: parameter.default for name, parameter in inspect.signature(Trainer).parameters.items()}
    others = {name: value for name, value in trainer.items() if value != defaults.get(name)}
    for group, settings in {"record": RecordSettings(), "checkpoint": CheckpointSettings()}.items():
        default = plain(vars(settings))
        others |= {f"{group}.{name}": value for name, value in config[group].items() if value != default[name]}
    others |= {name: config[name] for name in ("compile", "monitor") if config[name]}
    for name, value in {**of_model, **of_data, **others}.items():
        short = name.removeprefix("data.") if name in _ALWAYS else name
        found[short if short not in found else name] = _shown(value)
    return found


def _differing(described: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    # Names and values of the arguments of an object that differ from their defaults, those of its parts by dots.
    if not isinstance(described, Mapping) or _CLASS not in described:
        return
    defaults = _defaults(described[_CLASS])
    for name, value in (described.get(_ARGUMENTS) or {}).items():
        key = f"{prefix}{name}"
        told = f"data.{key}" in _ALWAYS or key in _ALWAYS
        if told or value != defaults.get(name, _MISSING):
            yield key, value
        if isinstance(value, Mapping) and _CLASS in value:
            yield from _differing(value, f"{key}.")


def _defaults(class_path: str) -> dict[str, Any]:
    # In plain types. The object has been made, so that its class is imported; a function may have made it.
    module, _, name = class_path.rpartition(".")
    cls = getattr(sys.modules.get(module), name, None)
    if not callable(cls):
        return {}
    return {
        parameter.name: plain(parameter.default)
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.default is not _MISSING
    }


def _shown(value: Any) -> Any:
    # A class by its name.
    return value[_CLASS].rpartition(".")[2] if isinstance(value, Mapping) and _CLASS in value else value
