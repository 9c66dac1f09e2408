"""Defaults that are objects."""

from typing import TypeVar, cast

from jsonargparse.typing import _LazyInitBaseClass

T = TypeVar("T")


def lazily(cls: type[T]) -> T:
    """A default that jsonargparse can write to a file: what its `lazy_instance` makes.

    That one looks through the sources of the whole call stack for its caller, at every import 0.1 s for each default.
    Arguments it has none: the command line would carry them over to any other class that is named.
    """
    made = type(f"LazyInstance_{cls.__name__}", (_LazyInitBaseClass, cls), {"__module__": cls.__module__})
    return cast("T", made(cls, {}))


def fresh(value: T) -> T:
    """`value` itself, or a new object in its place if it is a default made by `lazily`.

    A lazy instance can be written to a file, which is why signatures hold it; but it is shared by all calls and has no
    attributes before its first method call. Constructors take their object arguments through here.
    """
    if not hasattr(value, "lazy_get_init_args"):
        return value
    written = next(each for each in type(value).__mro__ if not hasattr(each, "lazy_get_init_args"))
    return cast("T", written())
