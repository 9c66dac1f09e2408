"""Class paths of version 0.1.0, in their present form. Strings alone: nothing is imported."""

from collections.abc import Mapping
from typing import Any

from reparam_suite.runtime.plain_data import CLASS_PATH

_SUITE = "reparam_suite"

# Rooms that have another name now.
_ROOMS = {"variational": "distributions"}


def class_path(path: str) -> str:
    """The present path of a class of the suite, as its room exports it; paths of other packages stay.

    >>> class_path("reparam_suite.variational.posteriors.DiagonalNormal")
    'reparam_suite.distributions.DiagonalNormal'
    """
    parts = path.split(".")
    if parts[0] != _SUITE or len(parts) < 3:
        return path
    return ".".join([_SUITE, _ROOMS.get(parts[1], parts[1]), parts[-1]])


def renamed(data: Any) -> Any:
    """Plain data with the present paths of their classes."""
    if isinstance(data, list):
        return [renamed(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    return {
        key: class_path(value) if key == CLASS_PATH and isinstance(value, str) else renamed(value)
        for key, value in data.items()
    }


def class_name(data: Any) -> str:
    """The name of the class that plain data describe, without its module; empty if they describe none."""
    path = data.get(CLASS_PATH) if isinstance(data, Mapping) else None
    return path.rpartition(".")[2] if isinstance(path, str) else ""
