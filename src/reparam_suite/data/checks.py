"""Checks of constructor arguments: type and range in one message; numpy's numbers are taken."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError


def integer(what: str, value: Any, *, least: int) -> int:
    """`value` as an int.

    Raises:
        ArgumentTypeError: if it is no integer.
        ArgumentValueError: if it is smaller than `least`.
    """
    expected = f"expected an integer of at least {least}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(f"{what}: {expected}, got {value!r}")
    if value < least:
        raise ArgumentValueError(f"{what}: {expected}, got {value}")
    return int(value)


def one_of(what: str, value: Any, accepted: Sequence[str]) -> None:
    """Refuses a value that is not among the accepted ones.

    Raises:
        ArgumentValueError: naming all of them.
    """
    if not (isinstance(value, str) and value in accepted):
        names = [f'"{name}"' for name in accepted]
        raise ArgumentValueError(f"{what}: expected {', '.join(names[:-1])} or {names[-1]}, got {value!r}")


def event_shape(value: Any, *, num_elements: int) -> tuple[int, ...]:
    """`value` as the shape of a datum of `num_elements` numbers.

    Raises:
        ArgumentTypeError: if it is no sequence of integers.
        ArgumentValueError: if it has another number of elements.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ArgumentTypeError(f"event_shape: expected a sequence of integers, got {value!r}")
    shape = tuple(integer("event_shape", size, least=1) for size in value)
    if not shape or math.prod(shape) != num_elements:
        raise ArgumentValueError(f"event_shape: expected a shape of {num_elements} elements, got {shape}")
    return shape


def name(what: str, value: Any) -> str:
    """`value` as a name that can be shown.

    Raises:
        ArgumentTypeError: if it is no string.
        ArgumentValueError: if it is blank, or holds characters that cannot be printed.
    """
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{what}: expected a string, got {value!r}")
    if not value.strip() or not value.isprintable():
        raise ArgumentValueError(f"{what}: expected a printable name, got {value!r}")
    return value
