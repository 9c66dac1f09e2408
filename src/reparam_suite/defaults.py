"""Defaults that are objects."""

from typing import TypeVar, cast

T = TypeVar("T")


def fresh(value: T) -> T:
    """`value` itself, or a new object in its place if it is a default made by jsonargparse's `lazy_instance`.

    A lazy instance can be written to a file, which is why signatures hold it; but it is shared by all calls and has no
    attributes before its first method call. Constructors take their object arguments through here.
    """
    if not hasattr(value, "lazy_get_init_args"):
        return value
    written = next(each for each in type(value).__mro__ if not hasattr(each, "lazy_get_init_args"))
    return cast("T", written(**vars(value.lazy_get_init_args())))
