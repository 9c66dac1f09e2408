"""Objects as plain dictionaries, so that a checkpoint holds no code and can be loaded with `weights_only=True`."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any


def configuration(value: object) -> Any:
    """`value` as jsonargparse writes it: a class path and the arguments of its constructor, in plain types.

    It relies on the convention that every constructor argument is kept as an attribute of the same name.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: configuration(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): configuration(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [configuration(each) for each in value]
    return {"class_path": class_path(value), "init_args": arguments(value)}


def arguments(value: object) -> dict[str, Any]:
    """The constructor arguments of `value`, in plain types."""
    return {
        name: configuration(getattr(value, name))
        for name, parameter in inspect.signature(type(value)).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY  # nn.Module's own *args and **kwargs are none of ours
    }


def class_path(value: object) -> str:
    """The dotted name of the class of `value`."""
    return f"{type(value).__module__}.{type(value).__qualname__}"
