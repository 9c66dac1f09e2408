"""Objects as plain data: a class path and the arguments of its constructor, in what YAML and `weights_only=True` load.

An object is written by its constructor's arguments, each of which it keeps as an attribute of the same name. A part
that does not is opaque: it is named, and cannot be reconstructed from the record.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any, final

import numpy as np

CLASS_PATH, INIT_ARGS = "class_path", "init_args"
"""Keys of an object; jsonargparse's names."""

REFERENCE = "reference"
"""The one key of a function or a class that is itself the value: its dotted path."""

OPAQUE = "opaque"
"""The one key of a part that cannot be made from the record: what it is."""


@final
class Described:
    """A callable without arguments together with the plain data that describe what it makes.

    Args:
        make: makes the object.
        description: its class path and arguments, in plain types.
    """

    def __init__(self, make: Callable[[], Any], description: Any) -> None:
        self._make = make
        self.description = description

    def __call__(self) -> Any:
        """The object."""
        return self._make()


def plain(value: object) -> Any:
    """`value` in plain types: numbers, strings, lists and dictionaries.

    >>> from reparam_suite.estimators import LeaveOneOut, ScoreFunction
    >>> plain(ScoreFunction(num_samples=4, baseline=LeaveOneOut()))["init_args"]["baseline"]
    {'class_path': 'reparam_suite.estimators.LeaveOneOut', 'init_args': {}}
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Described):
        return value.description
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bool | int | float | str | Path):  # of a class of its own, torch.Size's members say
        return str(value) if isinstance(value, str | Path) else float(value) if isinstance(value, float) else int(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if isinstance(value, Set):
        return sorted(plain(item) for item in value)
    if isinstance(value, FunctionType | type):
        return {REFERENCE: _path(value)} if _is_importable(value) else {OPAQUE: _told(value)}
    return _object(value)


def arguments(value: object) -> dict[str, Any]:
    """The constructor arguments of `value`, in plain types; those that it does not keep are opaque.

    An object that keeps them in another way has a method `constructor_arguments()`, which returns them by name.
    """
    if hasattr(value, "constructor_arguments"):
        return {name: plain(argument) for name, argument in value.constructor_arguments().items()}
    found = {}
    for name in constructor_arguments(type(value)):
        kept = inspect.getattr_static(value, name, _ABSENT) is not _ABSENT or name in _entries(value)
        found[name] = plain(getattr(value, name)) if kept else {OPAQUE: f"{type(value).__name__} keeps no {name}"}
    return found


def constructor_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments of a constructor by name; one that is inherited from nn.Module or object has none of ours."""
    if _takes_nothing(cls):
        return {}
    given = list(inspect.signature(inspect.getattr_static(cls, "__init__")).parameters.values())[1:]
    found = {
        parameter.name: parameter
        for parameter in given
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in given):  # handed on to the next constructor
        above = next(base for base in cls.__mro__ if "__init__" in vars(base)).__mro__[1]
        found = {**constructor_arguments(above), **found}
    return found


def class_path(value: object) -> str:
    """The dotted name of the class of `value`, as short as its package exports it."""
    return _path(type(value))


def opaque_parts(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The dotted name and the description of each opaque part of plain data."""
    if isinstance(data, Mapping):
        if set(data) == {OPAQUE}:
            yield name, str(data[OPAQUE])
            return
        for key, item in data.items():
            yield from opaque_parts(item, name if key == INIT_ARGS else f"{name}.{key}".removeprefix("."))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from opaque_parts(item, f"{name}[{index}]")


_ABSENT = object()


def _takes_nothing(cls: type) -> bool:
    # By the class that has the constructor: torch.compile puts another function in the place of Module's.
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return (owner.__module__, owner.__qualname__) in (("torch.nn.modules.module", "Module"), ("builtins", "object"))


def _entries(value: object) -> set[str]:
    # A module keeps parameters, buffers and other modules outside of its __dict__.
    kinds = (vars(value).get(kind) or {} for kind in ("_modules", "_parameters", "_buffers"))
    return {name for kind in kinds for name in kind} if hasattr(value, "__dict__") else set()


def _object(value: object) -> Any:
    cls = type(value)
    foreign = cls.__module__.partition(".")[0] in ("torch", "numpy", "builtins")
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):
        return {OPAQUE: _told(value)}
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if foreign or not _is_importable(cls) or (inspect.Parameter.VAR_POSITIONAL in kinds and not _takes_nothing(cls)):
        return {OPAQUE: _told(value)}
    return {CLASS_PATH: _path(cls), INIT_ARGS: arguments(value)}


def _is_importable(value: Any) -> bool:
    if "<" in value.__qualname__:  # a lambda, or made within a function
        return False
    modules: Mapping[str, Any] = sys.modules
    found = modules.get(value.__module__)
    name: str = value.__qualname__
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def _path(value: Any) -> str:
    modules: Mapping[str, Any] = sys.modules
    name: str = value.__qualname__
    module = "__main__" if value.__module__ == "__mp_main__" else value.__module__
    parts = module.split(".")
    if parts[0] == "reparam_suite":
        for length in range(2, len(parts)):
            package = ".".join(parts[:length])
            if getattr(modules.get(package), name, None) is value:
                return f"{package}.{name}"
    return f"{module}.{name}"


def _told(value: Any) -> str:
    named = value if isinstance(value, FunctionType | type) else type(value)
    return _path(named)
