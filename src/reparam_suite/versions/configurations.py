"""Configurations of runs of version 0.1.0, the config.yaml beside their checkpoints, with the present options."""

from collections.abc import Mapping
from typing import Any

from reparam_suite.runtime.construction import construct, imported
from reparam_suite.runtime.errors import SuiteError, UsageError
from reparam_suite.runtime.plain_data import CLASS_PATH, INIT_ARGS, constructor_arguments, plain
from reparam_suite.versions.callbacks import MONITOR
from reparam_suite.versions.classes import class_name, renamed
from reparam_suite.versions.errors import EarlierVersionError
from reparam_suite.versions.models import likelihood, model_description

# Every option of the trainer with the default that version 0.1.0 wrote down; what is not here is kept.
_TRAINER: Mapping[str, Any] = {
    "accelerator": "auto",
    "strategy": "auto",
    "devices": 1,
    "num_nodes": 1,
    "logger": False,
    "fast_dev_run": False,
    "overfit_batches": 0.0,
    "check_val_every_n_epoch": 1,
    "num_sanity_val_steps": 0,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accumulate_grad_batches": 1,
    "inference_mode": True,
    "use_distributed_sampler": True,
    "detect_anomaly": False,
    "barebones": False,
    "sync_batchnorm": False,
    "reload_dataloaders_every_n_epochs": 0,
    "enable_autolog_hparams": True,
}
_LIMITS = ("max_steps", "max_epochs")

# Elements of a datum; those of a file of the user's own are in the checkpoint.
_NUM_FEATURES = {"Digits": 64, "MNIST": 784, "FashionMNIST": 784, "BinarizedMNIST": 784, "Omniglot": 784}


def is_earlier_configuration(config: Any) -> bool:
    """Whether version 0.1.0 has written it: it names no monitor, and the arguments of its model are others."""
    if not isinstance(config, Mapping) or "monitor" in config or not isinstance(config.get("model"), Mapping):
        return False
    arguments = config["model"].get(INIT_ARGS)
    return isinstance(arguments, Mapping) and {"bound", "kl_weight"} <= set(arguments)


def check_configuration(config: Any, what: str) -> None:
    """Refuses a configuration that version 0.1.0 has written, where a user gives it: options have other names now.

    Raises:
        EarlierVersionError: naming `what` was given.
    """
    if is_earlier_configuration(config):
        raise EarlierVersionError(
            f"{what}: expected the options of this version, whose names docs/versions.md lists, got a configuration "
            "that version 0.1.0 wrote"
        )


def present_configuration(config: dict[str, Any], model: Mapping[str, Any] | None) -> dict[str, Any]:
    """The configuration with the present options, complete; one that version 0.1.0 has not written as it is.

    Args:
        config: of a run, as it was written.
        model: the model of the run's checkpoint in its present form, for what it took from the data; None where there
            is no checkpoint.

    Raises:
        EarlierVersionError: if an option has no counterpart.
        UsageError: if the data have to be saved in another shape.
    """
    if not is_earlier_configuration(config):
        return config
    described, data = model_description(config["model"]), config["data"]
    from_data = _from_data(class_name(data), model)
    described[INIT_ARGS] |= from_data
    rows, complete = _rows(renamed(data), from_data), _complete(described)
    for unknown in {"event_shape", "likelihood"} - set(from_data):
        complete[INIT_ARGS].pop(unknown, None)  # the data say it again
    return {
        **{key: config[key] for key in ("seed", "num_threads", "compile")},
        "monitor": MONITOR,
        "name": None,
        "tags": {},
        "trainer": _trainer(config["trainer"]),
        "loggers": [],
        "model": complete,
        "data": rows,
        **({"tracking": config["tracking"]} if "tracking" in config else {}),
        "record": {**config["record"], "export": False},
        "checkpoint": config["checkpoint"],
    }


def _from_data(name: str, model: Mapping[str, Any] | None) -> dict[str, Any]:
    if model is not None:
        return {key: model[INIT_ARGS][key] for key in ("event_shape", "likelihood")}
    if name not in _NUM_FEATURES:
        return {}
    return {"event_shape": [_NUM_FEATURES[name]], "likelihood": likelihood("binary")}


def _rows(data: dict[str, Any], from_data: Mapping[str, Any]) -> Any:
    try:
        made = construct(data)
    except (SuiteError, ValueError, TypeError):  # the run says it of data that are not there
        return _complete(data)
    expected, found = from_data.get("event_shape"), list(made.event_shape)
    if expected is not None and found != expected:  # version 0.1.0 flattened images of a file of the user's own
        raise UsageError(
            f"data: expected rows of shape {tuple(expected)}, as version 0.1.0 flattened them, got {tuple(found)}: "
            f"save them flat, as x.reshape(len(x), -1), in {data[INIT_ARGS].get('path')} and resume then"
        )
    return plain(made)


def _trainer(options: Mapping[str, Any]) -> dict[str, Any]:
    changed = {
        key: value
        for key, value in options.items()
        if key not in _LIMITS and value is not None and _TRAINER.get(key, _ABSENT) != value
    }
    limits = {key: -1 if options.get(key) is None else options[key] for key in _LIMITS}
    return {**renamed(changed), **limits}


_ABSENT = object()


def _complete(data: Any) -> Any:
    """With the defaults of arguments that are new; a class that is not of the suite stays as it is."""
    if isinstance(data, list):
        return [_complete(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    if CLASS_PATH not in data:
        return {key: _complete(item) for key, item in data.items()}
    given = {key: _complete(item) for key, item in (data.get(INIT_ARGS) or {}).items()}
    try:
        parameters = constructor_arguments(imported(data[CLASS_PATH]))
    except SuiteError:
        parameters = {}
    defaults = {name: plain(each.default) for name, each in parameters.items() if each.default is not each.empty}
    return {CLASS_PATH: data[CLASS_PATH], INIT_ARGS: {**defaults, **given}}
