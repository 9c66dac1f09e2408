"""From arrays as users have them to the arrays that a data set stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from torch import Tensor

from reparam_suite.data.base import Split
from reparam_suite.data.kinds import EXACT, Array, Kind, Values, check_stated, kind_of, type_of
from reparam_suite.runtime.errors import ArgumentTypeError, DataError

ACCEPTED_TYPES = "bool, integers or floating point"


@final
@dataclass(frozen=True)
class Stored:
    """Arrays in the types in which they are stored, each [N, P].

    Attributes:
        rows: uint8 or float32, by the name that was given.
        levels: the value that stands for intensity 1; None for values as they are.
        kind: what the batches hold.
    """

    rows: dict[str, Array]
    levels: int | None
    kind: Kind


def check_form(where: str, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuses an array that is no [N, ...] of numbers.

    Raises:
        DataError: naming the array.
    """
    if dtype.kind not in "biuf":
        raise DataError(f"{where}: {name}: expected {ACCEPTED_TYPES}, got {dtype}")
    if len(shape) < 2 or 0 in shape:
        raise DataError(f"{where}: {name}: expected a shape [N, ...] with nothing empty, got {shape}")


def stored(
    arrays: Mapping[str, Array], event_shape: tuple[int, ...], *, stated: Kind | None, binarizes: bool, where: str
) -> Stored:
    """Arrays of checked form, flattened to [N, P] and copied; the kind is decided over all of them, or stated.

    uint8 that is not binary, counted or real by statement holds intensities x / 255.

    Args:
        arrays: by name, the training rows first.
        event_shape: of a row.
        stated: the kind that the user states.
        binarizes: whether grey uint8 rows may be binarized; they are where no other kind is stated.
        where: the beginning of a message.

    Raises:
        DataError: if a value is not finite in float32, or the kind is contradictory.
    """
    rows = {name: _finite(where, name, array.reshape(len(array), -1)) for name, array in arrays.items()}
    facts = {name: Values.of(array) for name, array in rows.items()}
    if stated is None:
        source = kind_of(facts, event_shape, where=where)
    else:
        check_stated(stated, facts, event_shape, where=where)
        source = stated
    greatest = max(values.greatest for values in facts.values())
    is_uint8 = all(values.dtype == "uint8" for values in facts.values())
    if is_uint8 and (source in ("grey", "colour") or (source == "binary" and greatest > 1)):
        if stated == "binary" and not binarizes:
            raise DataError(f'{where}: kind "binary": expected 0 and 1, got values up to {greatest:.0f}')
        kind: Kind = "binary" if source == "grey" and stated is None and binarizes else source
        return Stored(_as_type(rows, np.uint8), 255, kind)
    if source == "binary":
        return Stored(_as_type(rows, np.uint8), 1, source)
    if source == "count" and greatest <= 255:
        return Stored(_as_type(rows, np.uint8), None, source)
    return Stored(_as_type(rows, np.float32), None, source)


def _as_type(rows: Mapping[str, Array], dtype: type[np.generic]) -> dict[str, Array]:
    return {name: array.astype(dtype, copy=array.dtype.kind != "f") for name, array in rows.items()}


def _finite(where: str, name: str, array: Array) -> Array:
    if array.dtype.kind in "iu" and max(abs(int(array.min())), abs(int(array.max()))) > EXACT:
        raise DataError(f"{where}: {name}: expected integers up to {EXACT}, exact in float32, got {_range(array)}")
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite and is refused
        array = array.astype(np.float32)
    is_finite = np.isfinite(array).all(axis=1)
    if not is_finite.all():
        row = int(np.flatnonzero(~is_finite)[0])
        raise DataError(f"{where}: {name}: expected finite float32 values, got NaN or infinity in row {row}")
    return array


def _range(array: Array) -> str:
    return f"{int(array.min())} to {int(array.max())}"


def arrays_of(
    where: str, *, train: Array | Tensor, valid: Array | Tensor, test: Array | Tensor | None
) -> dict[Split, Array]:
    """The splits that are given, as arrays [N, ...] of one shape and type; memory is shared where that can be.

    Raises:
        ArgumentTypeError: if one is neither an array nor a tensor.
        DataError: if one is no [N, ...] of numbers, or is unlike the training rows.
    """
    given: dict[Split, Array | Tensor | None] = {"train": train, "valid": valid, "test": test}
    arrays = {split: _as_array(split, value) for split, value in given.items() if value is not None or split != "test"}
    for split, array in arrays.items():
        check_form(where, split, array.shape, array.dtype)
    first = arrays["train"]
    for split, array in arrays.items():
        if array.shape[1:] != first.shape[1:] or type_of(array) != type_of(first):
            raise DataError(
                f"{where}: {split}: expected rows {list(first.shape[1:])} of {type_of(first)} like train's, "
                f"got {list(array.shape[1:])} of {type_of(array)}"
            )
    return arrays


def _as_array(split: str, value: Any) -> Array:
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        array: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return array
    if not isinstance(value, np.ndarray):
        raise ArgumentTypeError(f"{split}: expected a numpy array or a tensor, got {type(value).__name__}")
    return value
