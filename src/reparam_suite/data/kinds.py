"""The kind of the values in arrays: binary, grey, colour, real or count, decided over all splits or stated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy as np
import numpy.typing as npt

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError

Array = npt.NDArray[Any]

Kind = Literal["binary", "grey", "colour", "real", "count"]

DType = Literal["bool", "uint8", "integer", "float"]

# Images in uint8 reach the upper half of 0..255. What stays below may be images of other levels, or counts.
LIGHT = 128

_BYTE = 255

# Fewer values may all be between 0 and 1 by chance.
_MANY = 100
_MARGIN = 0.5  # beyond [0, 1], of rows that were scaled by the range of the training rows

EXACT = 1 << 24
"""Integers up to here are exact in float32."""


@final
@dataclass(frozen=True)
class Values:
    """Facts about the values of one array.

    Attributes:
        dtype: "bool", "uint8", "integer" or "float".
        least: smallest value.
        greatest: largest value.
        is_whole: whether all values are integers.
        is_binary: whether all values are 0 or 1.
        num_values: how many there are.
    """

    dtype: DType
    least: float
    greatest: float
    is_whole: bool
    is_binary: bool
    num_values: int

    @classmethod
    def of(cls, array: Array) -> "Values":
        """The facts about `array`, which is finite and not empty."""
        least, greatest = float(array.min()), float(array.max())
        is_whole = array.dtype.kind != "f" or bool((array == np.rint(array)).all())
        is_binary = is_whole and least >= 0.0 and greatest <= 1.0
        return cls(type_of(array), least, greatest, is_whole, is_binary=is_binary, num_values=array.size)

    @property
    def is_within(self) -> bool:
        """Whether all values lie within [0, 1]."""
        return self.least >= 0.0 and self.greatest <= 1.0

    @property
    def is_far_outside(self) -> bool:
        """Whether values lie so far outside of [0, 1] that no scaling learned on another split explains it."""
        return self.least < -_MARGIN or self.greatest > 1.0 + _MARGIN

    @property
    def is_surely_within(self) -> bool:
        """Whether all of many different values do: few may by chance, and a split of zeros alone decides nothing."""
        return self.is_within and self.least < self.greatest and self.num_values >= _MANY

    @property
    def is_surely_binary(self) -> bool:
        """Whether the values are 0 and 1 and no part of a larger range: a split of zeros alone decides nothing."""
        holds_both = self.least < self.greatest
        return self.is_binary and (holds_both or (self.dtype != "float" and self.greatest == 1.0))

    def __str__(self) -> str:
        if self.is_binary and self.least < self.greatest:
            return f"{self.dtype} of 0 and 1"
        if self.least == self.greatest:
            return f"{self.dtype} of {self.least:.4g} alone"
        return f"{self.dtype} from {self.least:.4g} to {self.greatest:.4g}"


def check_kind(kind: Any) -> None:
    """Refuses a statement that is no kind.

    Raises:
        ArgumentValueError: naming the kinds.
    """
    if kind is not None:
        checks.one_of("kind", kind, get_args(Kind))


def kind_of(splits: Mapping[str, Values], event_shape: tuple[int, ...], *, where: str) -> Kind:
    """The kind of arrays of one type, one for each split.

    bool, or 0 and 1 in any type: binary. Other uint8: grey, or colour where `event_shape` has three or four channels.
    Other integers: count, or real if some are negative; in the shape of a colour image they are refused beyond 255.
    Floating point: real; values in [0, 1] with a channel axis, [1, H, W] or [3, H, W], are intensities: grey or colour.
    Floating point of which one split, of 100 values or more, is within [0, 1] and another goes beyond by more than 0.5,
    contradicts itself.

    Args:
        splits: facts by the name that a message uses; the first one is of the training rows.
        event_shape: of a row.
        where: the beginning of a message.

    Raises:
        DataError: if the splits contradict each other, or uint8 values are neither 0 and 1 nor intensities.
    """
    if all(values.is_binary for values in splits.values()):
        return "binary"
    train = next(iter(splits.values()))
    dtype = train.dtype
    if dtype != "integer" or train.is_binary:  # rare counts may be 0 and 1 alone in a small split
        _refuse_partly_binary(splits, where)
    if dtype == "integer":
        _refuse_deep_colour(splits, event_shape, where)
        return "real" if any(values.least < 0 for values in splits.values()) else "count"
    if dtype == "uint8":
        if any(0 < values.greatest < LIGHT for values in splits.values()):
            expected = f"uint8 of 0 and 1, or intensities that reach {LIGHT} to 255 in every split"
            raise _contradiction(splits, where, expected)
        return "colour" if is_colour(event_shape) else "grey"
    within = [values.is_within for values in splits.values()]
    far = any(values.is_far_outside for values in splits.values())
    if far and any(values.is_surely_within for values in splits.values()):
        raise _contradiction(splits, where, "values in [0, 1] in every split or in none")
    if not _has_channels(event_shape) or not any(within):
        return "real"
    if all(within):
        return "colour" if is_colour(event_shape) else "grey"
    if max(values.greatest for values in splits.values()) >= LIGHT:
        raise _contradiction(splits, where, "intensities in [0, 1] in every split or in none")
    return "real"


def check_stated(kind: Kind, splits: Mapping[str, Values], event_shape: tuple[int, ...], *, where: str) -> None:
    """Refuses a stated kind that the values cannot have.

    Raises:
        DataError: naming the array and the values that the kind has.
    """
    if kind == "binary" and any(values.dtype == "uint8" and values.greatest > 1 for values in splits.values()):
        _refuse_partly_binary(splits, where)
        return
    if kind == "colour" and not is_colour(event_shape):
        raise DataError(f'{where}: kind "colour": expected rows [3, H, W] or [H, W, 3], got {list(event_shape)}')
    for name, values in splits.items():
        expected = _expected_of(kind, values)
        if expected is not None:
            raise DataError(f'{where}: kind "{kind}": expected {expected}, got {name}, {values}')


def _expected_of(kind: Kind, values: Values) -> str | None:
    if kind == "binary" and not values.is_binary:
        return "0 and 1"
    if kind in ("grey", "colour") and not (values.is_within or values.dtype == "uint8"):
        return "uint8, or values in [0, 1]"
    if kind == "count" and not (values.is_whole and values.least >= 0 and values.greatest <= EXACT):
        return f"integers from 0 to {EXACT}"
    return None


def type_of(array: Array) -> DType:
    """The type that decides, with the values, what an array is taken for."""
    if array.dtype.kind == "b":
        return "bool"
    if array.dtype.kind == "f":
        return "float"
    return "uint8" if array.dtype == np.uint8 else "integer"


def is_colour(event_shape: tuple[int, ...]) -> bool:
    """Whether a row is an image of three or four channels, [C, H, W] or [H, W, C]."""
    channels = (event_shape[0], event_shape[-1]) if len(event_shape) == 3 else ()
    return 1 not in channels and any(size in (3, 4) for size in channels)


def _has_channels(event_shape: tuple[int, ...]) -> bool:
    return len(event_shape) == 3 and (1 in (event_shape[0], event_shape[-1]) or is_colour(event_shape))


def _refuse_partly_binary(splits: Mapping[str, Values], where: str) -> None:
    # One of the splits was scaled or binarized and the others were not.
    if any(values.is_surely_binary for values in splits.values()):
        raise _contradiction(splits, where, "0 and 1 in every split or in none")


def _refuse_deep_colour(splits: Mapping[str, Values], event_shape: tuple[int, ...], where: str) -> None:
    # Images of 16 bits would be taken for counts.
    if is_colour(event_shape) and max(values.greatest for values in splits.values()) > _BYTE:
        raise _contradiction(splits, where, "colours in uint8, or in [0, 1]")


def _contradiction(splits: Mapping[str, Values], where: str, expected: str) -> DataError:
    found = "; ".join(f"{name} {values}" for name, values in splits.items())
    return DataError(
        f"{where}: expected {expected}, got {found}. Scale them alike, or state what they hold: "
        'kind="grey" (uint8 as x / 255), "count" or "real" (values as they are)'
    )
