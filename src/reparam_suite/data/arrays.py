"""A user's own arrays, in a file or in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from torch import Tensor

from reparam_suite.data import conversion
from reparam_suite.data.array_files import ONE, array_file
from reparam_suite.data.in_memory import ArrayDataModule, Binarization
from reparam_suite.data.kinds import Array, Kind, check_kind
from reparam_suite.data.mapped_arrays import MappedArrays
from reparam_suite.data.rows import FEWEST_TENTHS, tenths
from reparam_suite.data.splits import Splits
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError

_KEYS = ("x_train", "x_valid", "x_test")


@final
class Arrays(ArrayDataModule):
    """A file of your own: .npz with x_train and, if you like, x_valid and x_test, each [N, ...]; or .npy or .parquet
    with the training rows.

    A row of a .parquet file holds the numbers of its columns one after the other; a single column of lists of one
    length, or of lists of lists, keeps their shape.

    The kind of the values is decided over all arrays. bool, or 0 and 1 in any type: binary. Other uint8: intensities
    x / 255; grey ones are binarized, those of three or four channels, [N, 3, H, W] or [N, H, W, 3], are colour and
    never are. Other integers: counts, but not beyond 255 in the shape of a colour image. Floating point: real values,
    intensities if they are images with a channel axis in [0, 1]. Arrays that contradict each other are refused; `kind`
    states what they hold.

    Without x_valid, the ninth of every ten rows of x_train validates; without x_test, the tenth tests. Arrays not
    called x_... are left alone. `Arrays.of` takes arrays themselves.

    Args:
        path: of the file.
        columns: of a .parquet file, in their order; by default all.
        kind: what the batches shall hold, "binary", "grey", "colour", "real" or "count"; by default decided by type
            and values. "grey" gives uint8 as x / 255, not binarized; "real" and "count" give values as they are.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey uint8 rows: "dynamic" draws the training rows anew in each epoch, "fixed" once for all
            runs; "none" gives intensities in [0, 1].
        seed: of the order of the training batches and of their binarization; by default the run's, without a run 0.

    Raises:
        DataError: if the file cannot be read or holds something else; names the file and the array.
    """

    def __init__(
        self,
        *,
        path: Path,
        columns: Sequence[str] | None = None,
        kind: Kind | None = None,
        batch_size: int = 100,
        binarization: Binarization = "dynamic",
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, binarization=binarization, seed=seed)
        check_kind(kind)
        self.path = Path(path)
        self.columns = columns
        self.source = str(path)
        self.name = f"Arrays-{self.path.stem}"
        self._stated = kind
        self._file = array_file(self.path, columns)
        self._given = self._find_keys()
        self._shape, self._dtype = shape, dtype = self._file.header(ONE)
        self._check("x_train", shape, dtype)

    @staticmethod
    def of(
        *,
        train: Array | Tensor,
        valid: Array | Tensor,
        test: Array | Tensor | None = None,
        name: str = "arrays",
        kind: Kind | None = None,
        batch_size: int = 100,
        seed: int | None = None,
    ) -> "ArraysInMemory | MappedArrays":
        """Arrays or tensors, each [N, ...]: see `ArraysInMemory`, and `MappedArrays` where one is a `numpy.memmap`."""
        is_mapped = any(isinstance(array, np.memmap) for array in (train, valid, test))
        made = MappedArrays if is_mapped else ArraysInMemory
        return made(train=train, valid=valid, test=test, name=name, kind=kind, batch_size=batch_size, seed=seed)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self._shape[1:]

    def _find_keys(self) -> list[str]:
        keys = self._file.keys()
        strange = [key for key in keys if key.lower().startswith("x_") and key not in _KEYS]
        if "x_train" not in keys or strange:
            found = ", ".join(keys) or "nothing"
            raise DataError(f"{self.path}: expected x_train and, if you like, x_valid and x_test, got {found}")
        return [key for key in _KEYS if key in keys]

    def _check(self, key: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        conversion.check_form(str(self.path), key, shape, dtype)
        if shape[1:] != self._shape[1:] or dtype != self._dtype:
            raise DataError(
                f"{self.path}: {key}: expected {self._dtype} [N, {', '.join(map(str, self._shape[1:]))}] like x_train, "
                f"got {dtype} {shape}"
            )

    def read(self) -> Splits:
        """Returns the source arrays."""
        arrays = self._file.arrays(self._given)
        for key, array in arrays.items():
            self._check(key, array.shape, array.dtype)
        stored = conversion.stored(
            arrays,
            self.event_shape,
            stated=self._stated,
            binarizes=self.binarization != "none",
            where=str(self.path),
        )
        train, valid, test = self._split(stored.rows)
        return Splits(train=train, valid=valid, test=test, levels=stored.levels, kind=stored.kind)

    def _split(self, rows: dict[str, Array]) -> tuple[Array, Array, Array]:
        x = rows[ONE]
        takes = {split: f"x_{split}" not in rows for split in ("valid", "test")}
        if any(takes.values()) and len(x) < FEWEST_TENTHS:
            raise DataError(
                f"{self.path}: x_train: expected at least {FEWEST_TENTHS} rows to take validation and test rows from, "
                f"got {len(x)}; or add x_valid and x_test"
            )
        taken = {split: x[chosen] for split, chosen in tenths(len(x), **takes).items()}
        valid, test = (taken[split] if takes[split] else rows[f"x_{split}"] for split in ("valid", "test"))
        return taken["train"], valid, test


@final
class ArraysInMemory(ArrayDataModule):
    """Arrays or tensors in memory, each [N, ...], copied; made by `Arrays.of`.

    Taken as those of a file are, but nothing is binarized: uint8 that is not binary gives intensities x / 255.
    Without `test` there is no test split.

    Args:
        train: rows to train on.
        valid: rows to validate on.
        test: rows to test on.
        name: of the data set.
        kind: what the batches shall hold; by default decided by type and values, see `Arrays`.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.

    Raises:
        ArgumentTypeError: if an argument has a wrong type.
        DataError: if the arrays do not fit together; names the array.
    """

    source = "memory"

    def __init__(
        self,
        *,
        train: Array | Tensor,
        valid: Array | Tensor,
        test: Array | Tensor | None = None,
        name: str = "arrays",
        kind: Kind | None = None,
        batch_size: int = 100,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, binarization="none", seed=seed)
        check_kind(kind)
        self.name = checks.name("name", name)
        arrays = conversion.arrays_of(name, train=train, valid=valid, test=test)
        self._event_shape = arrays["train"].shape[1:]
        given = {str(split): array for split, array in arrays.items()}
        stored = conversion.stored(given, self._event_shape, stated=kind, binarizes=False, where=name)
        rows = stored.rows
        self.load(Splits(rows["train"], rows["valid"], rows.get("test"), stored.levels, stored.kind))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self._event_shape

    def read(self) -> Splits:
        """Returns the source arrays."""
        raise AssertionError("loaded at construction")
