"""Objects as a user writes them: `ScoreFunction(num_samples=4, baseline=LeaveOneOut())`."""

import dataclasses
import functools
import hashlib
import inspect
import re
from collections.abc import Hashable, Mapping
from types import FunctionType
from typing import Any, cast

from reparam_suite.runtime.plain_data import CLASS_PATH, OPAQUE, REFERENCE, constructor_arguments, plain


def written(value: object) -> str:
    """`value` as an expression: its class, and the arguments that are not at their defaults.

    A part that is opaque is written with a digest of what it is: of a function's code, of a module's layers.

    >>> from reparam_suite.estimators import LeaveOneOut, ScoreFunction
    >>> written(ScoreFunction(num_samples=4, baseline=LeaveOneOut()))
    'ScoreFunction(num_samples=4, baseline=LeaveOneOut())'
    """
    data = plain(value)
    if isinstance(data, dict) and data.keys() == {OPAQUE}:
        return f"{data[OPAQUE].rpartition('.')[2]}({_digest(value)})"
    if isinstance(data, dict) and data.keys() == {REFERENCE}:
        return str(data[REFERENCE]).removeprefix("__main__.")
    if isinstance(data, dict) and CLASS_PATH in data and not isinstance(value, Mapping):
        return f"{type(value).__name__}({_given(value)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    return repr(data)


def _given(value: object) -> str:
    given: list[str] = []
    kept: dict[str, object] = getattr(value, "constructor_arguments", dict)()
    for name, parameter in constructor_arguments(type(value)).items():
        own, default = kept.get(name, getattr(value, name, _ABSENT)), _default(value, name, parameter)
        if own is _ABSENT:
            given.append(f"{name}=...")
        elif default is inspect.Parameter.empty or plain(own) != plain(default):
            given.append(f"{name}={written(own)}")
    return ", ".join(given)


_ABSENT = object()


def _default(value: object, name: str, parameter: inspect.Parameter) -> object:
    made = getattr(value, "__dataclass_fields__", {}).get(name)
    if made is not None and made.default_factory is not dataclasses.MISSING:
        return made.default_factory()
    # None may stand for an object that the constructor makes.
    if parameter.default is None and getattr(value, name, None) is not None:
        return getattr(_at_defaults(cast("Hashable", type(value))), name, None)
    return parameter.default


@functools.cache
def _at_defaults(cls: Any) -> object:
    parameters = constructor_arguments(cls).values()
    required = [parameter for parameter in parameters if parameter.default is inspect.Parameter.empty]
    return None if required else cls()


def _digest(value: Any) -> str:
    if isinstance(value, FunctionType):
        code = value.__code__
        cells = [repr(plain(cell.cell_contents)) for cell in value.__closure__ or ()]
        text = repr((code.co_code, code.co_names, _constants(code.co_consts), value.__defaults__, cells))
    else:
        text = repr(value)
    return hashlib.sha256(re.sub(r" at 0x[0-9a-f]+", "", text).encode()).hexdigest()[:8]


def _constants(constants: tuple[Any, ...]) -> list[str]:
    return [repr(constant.co_code) if hasattr(constant, "co_code") else repr(constant) for constant in constants]
