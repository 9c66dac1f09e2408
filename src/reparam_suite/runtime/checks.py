"""Checks of constructor arguments: type and range in one message. NumPy's numbers are taken."""

import inspect
import math
import numbers
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError

LARGEST_SEED = 2**32 - 1
"""The largest seed that the generators of all libraries take."""


def integer(what: str, value: Any, *, least: int) -> int:
    """`value` as a Python integer.

    Raises:
        ArgumentTypeError: if it is no integer.
        ArgumentValueError: if it is smaller than `least`.
    """
    expected = f"expected an integer of at least {least}"
    try:
        number = None if _is_truth_value(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ArgumentTypeError(f"{what}: {expected}, got {value!r}")
    if number < least:
        raise ArgumentValueError(f"{what}: {expected}, got {value!r}")
    return number


def integers(what: str, values: Any, *, least: int) -> list[int]:
    """`values` as Python integers.

    Raises:
        ArgumentTypeError: if it is no sequence of integers.
        ArgumentValueError: if one is smaller than `least`.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{what}: expected a list of integers, got {values!r}")
    return [integer(what, value, least=least) for value in values]


def number(
    what: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """`value` as a Python float.

    Raises:
        ArgumentTypeError: if it is no number.
        ArgumentValueError: if it is not finite, or outside the range.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and above < value < below and least <= value <= most:
        return float(value)
    limits = [
        f"above {above:g}" * (above > -math.inf),
        f"of at least {least:g}" * (least > -math.inf),
        f"below {below:g}" * (below < math.inf),
        f"of at most {most:g}" * (most < math.inf),
    ]
    range_ = " and ".join(limit for limit in limits if limit)
    expected = " ".join(part for part in ("a finite number", range_) if part)
    error = ArgumentValueError if is_number else ArgumentTypeError
    raise error(f"{what}: expected {expected}, got {value!r}")


def as_integer(what: str, value: Any) -> int:
    """`value` as a Python integer, of any size.

    Raises:
        ArgumentTypeError: if it is no integer.
    """
    try:
        if not _is_truth_value(value):
            return operator.index(value)
    except TypeError:
        pass
    raise ArgumentTypeError(f"{what}: expected an integer, got {value!r}")


def as_number(what: str, value: Any) -> float:
    """`value` as a Python float, nan and infinity included.

    Raises:
        ArgumentTypeError: if it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{what}: expected a number, got {value!r}")
    return float(value)


def seed(what: str, value: Any) -> int:
    """`value` as a seed.

    Raises:
        ArgumentTypeError: if it is no integer.
        ArgumentValueError: if it is negative, or larger than `LARGEST_SEED`.
    """
    number = as_integer(what, value)
    if not 0 <= number <= LARGEST_SEED:
        raise ArgumentValueError(f"{what}: expected 0 to {LARGEST_SEED}, got {number}")
    return number


def seeds(what: str, values: Any) -> list[int]:
    """`values` as seeds.

    Raises:
        ArgumentTypeError: if it is no sequence of integers.
        ArgumentValueError: if one is no seed.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{what}: expected a list of integers, got {values!r}")
    return [seed(what, value) for value in values]


def even(what: str, value: int) -> int:
    """`value`, of samples that come in pairs.

    Raises:
        ArgumentValueError: if it is odd.
    """
    if value % 2:
        raise ArgumentValueError(f"{what}: expected an even number, for its samples come in pairs, got {value}")
    return value


def one_of(what: str, value: Any, accepted: Sequence[str]) -> None:
    """Refuses a value that is not among the accepted ones.

    Raises:
        ArgumentValueError: naming all of them.
    """
    if not (isinstance(value, str) and value in accepted):
        names = [f'"{name}"' for name in accepted]
        raise ArgumentValueError(f"{what}: expected {', '.join(names[:-1])} or {names[-1]}, got {value!r}")


def shape(what: str, value: Any, *, num_elements: int) -> tuple[int, ...]:
    """`value` as a shape of `num_elements` numbers.

    Raises:
        ArgumentTypeError: if it is no sequence of integers.
        ArgumentValueError: if it has another number of elements.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ArgumentTypeError(f"{what}: expected a sequence of integers, got {value!r}")
    sizes = tuple(integer(what, size, least=1) for size in value)
    if not sizes or math.prod(sizes) != num_elements:
        raise ArgumentValueError(f"{what}: expected a shape of {num_elements} elements, got {sizes}")
    return sizes


def checked_shape(what: str, value: Any) -> tuple[int, ...]:
    """`value` as a shape, of at least one axis.

    Raises:
        ArgumentTypeError: if it is no sequence of integers.
        ArgumentValueError: if it is empty, or a size is below 1.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ArgumentTypeError(f"{what}: expected a sequence of integers, got {value!r}")
    if not value:
        raise ArgumentValueError(f"{what}: expected at least one axis, got {value!r}")
    return tuple(integer(what, size, least=1) for size in value)


def name(what: str, value: Any, *, most: int | None = None) -> str:
    """`value` as a name that can be shown, of at most `most` characters.

    Raises:
        ArgumentTypeError: if it is no string.
        ArgumentValueError: if it is blank or too long, or holds characters that cannot be printed.
    """
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{what}: expected a string, got {value!r}")
    if not value.strip() or not value.isprintable():
        raise ArgumentValueError(f"{what}: expected a printable name, got {value!r}")
    if most is not None and len(value) > most:
        raise ArgumentValueError(f"{what}: expected at most {most} characters, got {len(value):,}: {value[:30]}...")
    return value


def takes(function: Any, num_arguments: int) -> bool:
    """Whether `function` can be called with so many arguments by position; true where it does not say."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*[None] * num_arguments)
    except TypeError:
        return False
    except ValueError:  # builtins without a signature
        return True
    return True


def distinct(what: str, values: Sequence[Any]) -> None:
    """Refuses values of which two are equal: they would count twice.

    Raises:
        ArgumentValueError: naming the first that comes again.
    """
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ArgumentValueError(f"{what}: expected every value once, got {value} again")


def _is_truth_value(value: Any) -> bool:
    # NumPy's and torch's are taken for 0 and 1 by some versions.
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")
