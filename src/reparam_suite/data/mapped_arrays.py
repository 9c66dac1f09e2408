"""Arrays that are mapped from files, read as they are needed."""

from typing import final

from torch import Tensor

from reparam_suite.data import conversion
from reparam_suite.data.base import Split
from reparam_suite.data.kinds import Array, Kind
from reparam_suite.data.rows import ArrayRows, Rows
from reparam_suite.data.streamed_numbers import StreamedNumbers
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError


@final
class MappedArrays(StreamedNumbers):
    """Arrays each [N, ...] of which at least one is a `numpy.memmap`; made by `Arrays.of`.

    Rows are read from the arrays as they are needed, and neither copied nor checked as a whole. What is read of a
    mapped file counts as memory of the process until the system takes it back.

    Args:
        train: rows to train on.
        valid: rows to validate on.
        test: rows to test on.
        name: of the data set.
        kind: what the batches shall hold; by default decided by type and values, see `StreamedNumbers`.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.

    Raises:
        ArgumentTypeError: if an argument has a wrong type.
        DataError: if the arrays do not fit together; names the array.
    """

    source = "mapped files"

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
        super().__init__(kind=kind, batch_size=batch_size, seed=seed)
        self.name = checks.name("name", name)
        self._arrays = conversion.arrays_of(name, train=train, valid=valid, test=test)
        for split, array in self._arrays.items():
            if array.flags.f_contiguous and not array.flags.c_contiguous:
                raise DataError(f"{name}: {split}: expected rows in C order, got columns: save np.ascontiguousarray(x)")
        _ = self.kind  # what contradicts itself is refused here, as in memory

    @property
    def where(self) -> str:
        """The name."""
        return self.name

    def find(self) -> dict[Split, Rows]:
        """The arrays' rows."""
        return {split: ArrayRows(array) for split, array in self._arrays.items()}
