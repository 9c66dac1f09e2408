"""A user's own arrays."""

import math
from pathlib import Path
from typing import final

import numpy as np

from reparam_suite.data import npz
from reparam_suite.data.base import Array, ArrayDataModule, Binarization, Splits
from reparam_suite.runtime.errors import DataError

_KEYS = ("x_train", "x_valid", "x_test")
_ACCEPTED = "accepted are bool, uint8 and floating point"
_EVERY = 10  # of ten training rows in a row the ninth validates and the tenth tests, where those arrays are absent


@final
class Arrays(ArrayDataModule):
    """A file of your own: .npz with x_train and, if you like, x_valid and x_test, each [N, ...].

    bool, or uint8 of 0 and 1: binary. Other uint8: grey, intensities x / 255, binarized. Floating point: real values.
    [N, H, W] are images; further axes are flattened. Without x_valid, the ninth of every ten rows of x_train validates;
    without x_test, the tenth tests. Arrays not called x_... are left alone.

    Args:
        path: of the .npz file.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey training rows: "dynamic" draws them anew each epoch, "fixed" once for all runs.
        seed: of the order of the training batches and of their binarization.

    Raises:
        DataError: if the file cannot be read or holds something else; names the file and the array.
    """

    def __init__(
        self, *, path: Path, batch_size: int = 100, binarization: Binarization = "dynamic", seed: int = 0
    ) -> None:
        super().__init__(batch_size=batch_size, binarization=binarization, seed=seed)
        self.path = Path(path)
        self.source = str(path)
        self.name = f"Arrays-{self.path.stem}"
        self._given = self._find_keys()
        self._shape, self._dtype = shape, dtype = npz.header(self.path, "x_train")
        self._check("x_train", shape, dtype)
        self.num_features = math.prod(shape[1:])
        self.image_shape = (shape[1], shape[2]) if len(shape) == 3 else None
        self.observation = "real" if dtype.kind == "f" else "binary"

    def _find_keys(self) -> list[str]:
        keys = npz.keys(self.path)
        strange = [key for key in keys if key.lower().startswith("x_") and key not in _KEYS]
        if "x_train" not in keys or strange:
            found = ", ".join(keys) or "nothing"
            raise DataError(f"{self.path} holds {found}; accepted are x_train (required), x_valid and x_test")
        return [key for key in _KEYS if key in keys]

    def _check(self, key: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        if dtype.kind not in "bf" and dtype != np.uint8:
            raise DataError(f"{self.path}: {key} is of type {dtype}; {_ACCEPTED}")
        if len(shape) < 2 or 0 in shape:
            raise DataError(f"{self.path}: {key} has shape {shape}; accepted is [N, ...] with nothing empty")
        if shape[1:] != self._shape[1:] or dtype != self._dtype:
            raise DataError(
                f"{self.path}: {key} is {dtype} {shape}, but x_train is {self._dtype} {self._shape}; "
                "accepted are arrays that differ in their first size only"
            )

    def _read(self) -> Splits:
        rows = {}
        for key, array in npz.arrays(self.path, self._given).items():
            self._check(key, array.shape, array.dtype)
            rows[key] = self._convert(key, array.reshape(len(array), -1))
        train, valid, test = self._split(rows)
        return Splits(train=train, valid=valid, test=test, levels=self._levels_of(rows))

    def _convert(self, key: str, array: Array) -> Array:
        if array.dtype.kind != "f":
            return array.astype(np.uint8)
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite and is refused
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
            raise DataError(f"{self.path}: {key} has NaN or infinity in row {row}; accepted are finite float32 values")
        return array

    def _split(self, rows: dict[str, Array]) -> tuple[Array, Array, Array]:
        x = rows["x_train"]
        tenth = np.arange(len(x)) % _EVERY
        valid = rows.get("x_valid", x[tenth == _EVERY - 2])
        test = rows.get("x_test", x[tenth == _EVERY - 1])
        taken = [_EVERY - 2] * ("x_valid" not in rows) + [_EVERY - 1] * ("x_test" not in rows)
        if not len(valid) or not len(test):
            raise DataError(
                f"{self.path}: x_train has {len(x)} rows, too few to take validation and test rows from; "
                f"accepted are {_EVERY} or more, or arrays x_valid and x_test"
            )
        return x[~np.isin(tenth, taken)], valid, test

    def _levels_of(self, rows: dict[str, Array]) -> int | None:
        if self.observation == "real":
            return None
        return 1 if max(array.max() for array in rows.values()) <= 1 else 255
