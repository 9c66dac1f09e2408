"""The classes that an option may name."""

import inspect
import sys
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

# Types whose values an option can give.
_GIVABLE = (bool, int, float, str, Path, nn.Module)


def concrete_subclasses(base: type[Any]) -> set[type[Any]]:
    """The classes of the suite's own that can stand for `base`; one from elsewhere is named by its dotted path."""
    hidden = base.__name__[0] == "_" or getattr(base, "_is_protocol", False) or not _has_its_name(base)
    ours = base.__module__.partition(".")[0] == "reparam_suite"
    found = {base} if ours and not hidden and not inspect.isabstract(base) and _is_nameable(base) else set()
    return found.union(*map(concrete_subclasses, base.__subclasses__()))


def _has_its_name(cls: type[Any]) -> bool:
    # A lazy default's class and one that torch.export made for tracing bear the name of another.
    return getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls


def _is_nameable(cls: type[Any]) -> bool:
    # Whether options can give all that its constructor asks for: no arrays, no loaders.
    constructor = inspect.getattr_static(cls, "__init__")
    if not inspect.isfunction(constructor):
        return True
    needed = [
        parameter for parameter in list(inspect.signature(constructor).parameters.values())[1:] if _is_needed(parameter)
    ]
    hints = typing.get_type_hints(constructor) if needed else {}
    types = [hints.get(parameter.name) for parameter in needed]
    return all(inspect.isclass(hint) and issubclass(hint, _GIVABLE) for hint in types)


def _is_needed(parameter: inspect.Parameter) -> bool:
    kinds = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in kinds


def either(names: Iterable[str]) -> str:
    """Names as a sentence lists them: a, b or c."""
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} or {last}" if most else last


def imported(class_path: str) -> Any:
    """The class of a dotted path; None if its module has none of that name."""
    module, _, name = class_path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name, None)


def arguments_taken(cls: Any) -> list[str]:
    """The names of a class's arguments, as far as it names them."""
    parameters = inspect.signature(cls).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def annotated(cls: Any, argument: str) -> list[type]:
    """The types that an argument of a class may be of, without None."""
    hint = typing.get_type_hints(cls.__init__).get(argument)
    candidates: tuple[Any, ...] = typing.get_args(hint) or (hint,)
    return [candidate for candidate in candidates if isinstance(candidate, type) and candidate is not type(None)]
