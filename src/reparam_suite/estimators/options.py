"""Numbers given to constructors: their type and range, checked in one message. NumPy's numbers are taken."""

import math
import numbers
import operator
from collections.abc import Iterable
from typing import Any

from torch import nn


def integer(owner: nn.Module, option: str, value: Any, *, least: int) -> int:
    """`value` as a Python integer.

    Raises:
        ValueError: if it is no integer or below `least`, naming the class of `owner`, the option and what was given.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{option} of {type(owner).__name__}: expected an integer of at least {least}, got {value!r}")
    return number


def integers(owner: nn.Module, option: str, values: Iterable[Any], *, least: int) -> list[int]:
    """`values` as Python integers.

    Raises:
        ValueError: as `integer` does.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{option} of {type(owner).__name__}: expected a list of integers, got {values!r}")
    return [integer(owner, option, value, least=least) for value in values]


def number(
    owner: nn.Module,
    option: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """`value` as a Python float.

    Raises:
        ValueError: if it is no finite number, or outside the range, naming the class of `owner`, the option and what
            was given.
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
    raise ValueError(f"{option} of {type(owner).__name__}: expected {expected}, got {value!r}")


def even(owner: nn.Module, option: str, value: int) -> int:
    """`value`, of samples that come in pairs.

    Raises:
        ValueError: if it is odd.
    """
    if value % 2:
        given = f"expected an even number, for its samples come in pairs, got {value}"
        raise ValueError(f"{option} of {type(owner).__name__}: {given}")
    return value
