"""Definitions of studies of version 0.1.0, by which a study is known again, made comparable with present ones."""

from collections.abc import Iterator, Mapping
from typing import Any

from reparam_suite.runtime import strict_yaml
from reparam_suite.runtime.plain_data import CLASS_PATH, INIT_ARGS
from reparam_suite.versions.classes import class_path

# Options by their beginning, with the present one.
_OPTIONS = {
    "model.kl_weight": "model.objective.weight",
    "model.kl_warmup_steps": "model.objective.warmup_steps",
    "model.kl": "model.objective.kl",
    "model.bound": "model.objective",
    "model.prior_optimizer": "model.optimizer.prior",
    "model.control_optimizer": "model.optimizer.control",
}
_DEFAULT = ("model.objective", "ELBO")
_OBJECTIVES = {"Average": "ELBO", "LogMeanExp": "ImportanceWeighted"}


def is_earlier_definition(definition: Mapping[str, Any]) -> bool:
    """Whether version 0.1.0 has written it: the base is the text of a file there."""
    return isinstance(definition.get("base"), str)


def comparable_definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition in one form, whichever version has written it: present options, by their dotted names.

    The names of what is searched stay: the trials on record have their values under these.
    """
    base = definition["base"]
    content = strict_yaml.loaded(base) if isinstance(base, str) else base
    return {
        "constraints": {},
        **definition,
        "base": dict(_options(content)),
        "options": dict(_options(definition["options"])),
    }


def _options(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(content, Mapping):
        option, value = _option(name), _value(name, content)
        if (option, value) != _DEFAULT:
            yield option, value
        return
    for key, value in content.items():
        of_class = key in (CLASS_PATH, INIT_ARGS)
        yield from _options(value, name if of_class else f"{name}.{key}".removeprefix("."))


def _option(name: str) -> str:
    known = next((key for key in _OPTIONS if name == key or name.startswith(f"{key}.")), None)
    return name if known is None else _OPTIONS[known] + name.removeprefix(known)


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _OBJECTIVES.get(value, value) if name == "model.bound" else class_path(value)
