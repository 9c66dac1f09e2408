"""Defaults that are objects."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar, cast

from jsonargparse.typing import _LazyInitBaseClass

T = TypeVar("T")


def lazily(cls: type[T], **arguments: Any) -> T:
    """A default that jsonargparse can write to a file: what its `lazy_instance` makes.

    That one looks through the sources of the whole call stack for its caller, at every import 0.1 s for each default.
    """
    made = type(f"LazyInstance_{cls.__name__}", (_LazyInitBaseClass, cls), {"__module__": cls.__module__})
    return cast("T", made(cls, arguments))


def fresh(value: T) -> T:
    """`value` itself, or a new object in its place if it is a default made by `lazily`.

    A lazy instance can be written to a file, which is why signatures hold it; but it is shared by all calls and has no
    attributes before its first method call. Constructors take their object arguments through here.

    An object within a lazy instance is given as it is written, {"class_path": ..., "init_args": {...}}: jsonargparse
    cannot write a lazy instance that holds another.
    """
    if not hasattr(value, "lazy_get_init_args"):
        return value
    written = next(each for each in type(value).__mro__ if not hasattr(each, "lazy_get_init_args"))
    return cast("T", written(**{name: _made(each) for name, each in vars(value.lazy_get_init_args()).items()}))


def _made(value: Any) -> Any:
    if not isinstance(value, Mapping) or "class_path" not in value:
        return value
    module, _, name = value["class_path"].rpartition(".")
    return getattr(import_module(module), name)(**value.get("init_args", {}))
