"""Data sets larger than memory: rows are read as they are needed, in the order and at the position of the others."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from reparam_suite.data.base import SPLITS, Split
from reparam_suite.data.batches import EVALUATION_ROWS, ShuffledBatches
from reparam_suite.data.kinds import Array, Kind
from reparam_suite.data.positioned import Place, PositionedDataModule
from reparam_suite.data.read_ahead import read_ahead
from reparam_suite.data.rows import Rows, as_tensor
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError

_READ_ROWS, _READ_BYTES = 1_000, 2**26


def looked_at(rows: Rows) -> Array:
    """The rows by which questions about the values are answered: at most 1,000, or 64 MiB, evenly spaced."""
    size = max(1, rows.spread(1).nbytes)
    return rows.spread(max(2, min(_READ_ROWS, _READ_BYTES // size)))


class StreamedDataModule(PositionedDataModule, ABC):
    """A data set that stays where it is stored; every batch is x, [b, *event_shape] float32.

    The order of the rows and the position on resumption do not depend on the number of workers. Questions about the
    values, such as the mean, are answered by at most 1,000 rows of each split, evenly spaced.

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.
        num_workers: threads that read batches before they are asked for; 0 reads them when they are.

    Raises:
        ArgumentTypeError: if an argument has a wrong type.
        ArgumentValueError: if an argument is out of range.
    """

    def __init__(self, *, batch_size: int = 100, seed: int | None = None, num_workers: int = 2) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.num_workers = checks.integer("num_workers", num_workers, least=0)
        self._splits: dict[Split, Rows] = {}
        self._mean: Tensor | None = None
        self._digest: str | None = None

    @abstractmethod
    def find(self) -> dict[Split, Rows]:
        """The rows of each split; reads no more than it takes to refuse what cannot be used.

        Raises:
            DataError: naming the file that cannot be used.
        """

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """The kind of the batches."""

    @property
    @abstractmethod
    def divisor(self) -> int | None:
        """The divisor that makes values intensities; None leaves them as they are."""

    @property
    def levels(self) -> int | None:
        """The level that stands for intensity 1 in grey and colour images; else None."""
        return self.divisor or super().levels

    @property
    def splits(self) -> dict[Split, Rows]:
        """The rows of each split."""
        self.open()
        return self._splits

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self.splits["train"].event_shape

    @property
    def num_rows(self) -> dict[Split, int]:
        """Number of data in each split."""
        return {split: len(rows) for split, rows in self.splits.items()}

    @property
    def train_mean(self) -> Tensor:
        """Mean of the training rows that are read for it, of event_shape, on the training device."""
        if self._mean is None:
            mean = looked_at(self.splits["train"]).mean(axis=0, dtype=np.float64) / (self.divisor or 1)
            self._mean = torch.from_numpy(mean).to(torch.float32)
        return self._mean.to(self.place_in_use().device)

    @property
    def digest(self) -> str:
        """Short hash of shapes, types and the rows that are read of all splits: not of every row."""
        if self._digest is None:
            content = hashlib.sha256(str(self.divisor).encode())
            for split, rows in self.splits.items():
                read = looked_at(rows)
                content.update(f"{split} {len(rows)} {read.shape} {read.dtype}".encode())
                content.update(np.ascontiguousarray(read).data)
            self._digest = content.hexdigest()[:16]
        return self._digest

    def has(self, split: Split) -> bool:
        """Whether there is such a split."""
        checks.one_of("split", split, SPLITS)
        return split in self.splits

    def open(self) -> None:
        """Finds the rows, where they are not found yet."""
        if not self._splits:
            self._splits = self.find()

    def train_batches(self, place: Place) -> "StreamedBatches":
        """The training batches at a place."""
        return StreamedBatches(
            self.splits["train"],
            divisor=self.divisor,
            num_workers=self.num_workers,
            device=place.device,
            batch_size=self.batch_size,
            seed=self.seed_in_use,
            rank=place.rank,
            world_size=place.world_size,
        )

    def evaluation_batches(self, split: Split, place: Place) -> "RowsInOrder":
        """The rows of a split in order."""
        return RowsInOrder(self._rows_of(split), divisor=self.divisor, num_workers=self.num_workers, place=place)

    def undivided(self, split: Split) -> "RowsInOrder":
        """All rows of a split, in the batches in which they are evaluated, whatever the number of processes."""
        return self.evaluation_batches(split, Place(self.place_in_use().device))

    def sample_batch(self, split: Split = "train") -> Tensor:
        """At most `batch_size` rows evenly spaced over a split, [b, *event_shape], the same whenever and wherever."""
        rows = self._rows_of(split).spread(self.batch_size)
        return _intensities(as_tensor(rows).to(self.place_in_use().device), self.divisor)

    def _rows_of(self, split: Split) -> Rows:
        if not self.has(split):
            raise DataError(f"{self.name}: expected one of its splits {', '.join(self.splits)}, got {split}")
        return self.splits[split]


@final
class StreamedBatches(ShuffledBatches):
    """Shuffled batches of rows that are read as they are needed.

    Args:
        rows: of the training.
        divisor: of the values of a batch; None leaves them as they are.
        num_workers: threads that read.
        device: where the batches go.
        options: of `ShuffledBatches`: batch_size, seed, rank, world_size, epoch_length.

    Raises:
        DataError: if some batch has fewer rows than there are processes.
    """

    def __init__(
        self, rows: Rows, *, divisor: int | None, num_workers: int, device: torch.device, **options: Any
    ) -> None:
        super().__init__(len(rows), **options)
        self._rows = rows
        self._divisor = divisor
        self._how: dict[str, Any] = {"num_workers": num_workers, "device": device}

    def rows_of(self, batches: Iterator[Tensor], epoch: int) -> Iterator[Tensor]:  # noqa: ARG002
        """Read ahead of use."""
        for rows in read_ahead(batches, partial(_read, self._rows), **self._how):
            yield _intensities(rows, self._divisor)


@final
class RowsInOrder(Iterable[Tensor]):
    """Rows in fixed order, in batches of nearly equal size and at most 500 rows over all processes.

    Args:
        rows: of a split.
        divisor: of the values of a batch; None leaves them as they are.
        num_workers: threads that read.
        place: whose share they are.

    Raises:
        DataError: if there are fewer rows than processes.
    """

    def __init__(self, rows: Rows, *, divisor: int | None, num_workers: int, place: Place) -> None:
        if len(rows) < place.world_size:
            raise DataError(
                f"rows to evaluate on: expected at least {place.world_size}, one per process, got {len(rows)}"
            )
        self._rows = rows
        self._divisor = divisor
        self._num_workers = num_workers
        self._place = place
        self._num_batches = -(-len(rows) // max(EVALUATION_ROWS, place.world_size))

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[Tensor]:
        place = self._place
        batches = torch.arange(len(self._rows)).tensor_split(self._num_batches)
        shares = (batch[place.rank :: place.world_size] for batch in batches)
        read = partial(_read, self._rows)
        for rows in read_ahead(shares, read, num_workers=self._num_workers, device=place.device):
            yield _intensities(rows, self._divisor)


def _read(rows: Rows, indices: Tensor) -> Tensor:
    numbers: Array = indices.numpy()
    return as_tensor(rows.read(numbers))


def _intensities(rows: Tensor, divisor: int | None) -> Tensor:
    x = rows.to(torch.float32)
    return x if divisor is None else x.div_(divisor)
