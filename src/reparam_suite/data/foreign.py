"""Data of others: answers found by reading a few rows of their loaders."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from reparam_suite.data.base import SPLITS, DataModule, Split
from reparam_suite.data.kinds import Array, Kind, Values, check_stated, kind_of
from reparam_suite.data.reading import LoaderReader, datum_of, is_loader
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError
from reparam_suite.runtime.random_streams import unchanged_streams

_READ_ROWS = 1_000  # of each split, to find the kind and the mean


class ForeignDataModule(DataModule, ABC):
    """Loaders whose batches are handed over as they come: x, or a tuple or list whose first member is x.

    Answers are found by reading at most 1,000 rows of each split, when they are first asked for. Training order and
    global generators stay as they are. A stopped run begins its epoch anew.

    Args:
        kind: what x holds, where it shall not be decided by the rows that are read.
    """

    resumes = "epoch"

    def __init__(self, *, kind: Kind | None) -> None:
        super().__init__()
        if kind is not None:
            checks.one_of("kind", kind, get_args(Kind))
        self._stated = kind
        self._readers: dict[Split, LoaderReader] = {}
        self._shape: tuple[int, ...] | None = None

    @abstractmethod
    def loader(self, split: Split) -> Any:
        """The loader of a split; None or empty where there is none."""

    @property
    def event_shape(self) -> tuple[int, ...] | None:
        """Shape of a datum x; None where batches hold no x."""
        if self._shape is None:
            x = _x_of(self._batch("train", 1))
            self._shape = None if x is None else tuple(x.shape[1:])
        return self._shape

    @property
    def kind(self) -> Kind | None:
        """The kind of x, decided by the rows that are read of all splits, or stated; None where batches hold no x."""
        return self._values[0]

    @property
    def train_mean(self) -> Tensor | None:
        """Mean of the training rows that are read, of event_shape; None where batches hold no x."""
        mean = self._values[1]
        return mean if mean is None or self.trainer is None else mean.to(self.trainer.strategy.root_device)

    @property
    def num_rows(self) -> dict[Split, int]:
        """Number of data in each split; one whose length only reading all of it would give is left out."""
        numbers = {split: self._reader(split).num_rows for split in SPLITS if self.has(split)}
        return {split: number for split, number in numbers.items() if number is not None}

    @property
    def digest(self) -> None:
        """None: others' data are not hashed."""
        return

    @property
    def batches_are_on_device(self) -> bool:
        """Whether training is on the CPU, and no hook transfers or changes batches."""
        on_cpu = self.trainer is None or self.trainer.strategy.root_device.type == "cpu"
        return on_cpu and super().batches_are_on_device

    def has(self, split: Split) -> bool:
        """Whether there is such a split."""
        checks.one_of("split", split, SPLITS)
        if split in self._readers:
            return True
        loader = self.loader(split)
        return loader is not None and not _is_empty(loader)

    def sample_batch(self, split: Split = "train") -> Any:
        """A batch of rows evenly spaced over a map-style dataset, else the first batch; as a model is given it.

        Random transforms of the rows draw the same numbers in every call.
        """
        return self._batch(split, self._reader(split).batch_size)

    def _batch(self, split: Split, limit: int) -> Any:
        batch = next(self._read(split, limit), None)
        if batch is None:
            raise DataError(f"{self.name}: {split}: expected at least one batch, got none")
        return batch

    def undivided(self, split: Split) -> Iterable[Any]:
        """All batches of a split in fixed order, in every process."""
        return (self._transferred(batch) for batch in self._reader(split).batches())

    def _read(self, split: Split, limit: int) -> Iterator[Any]:
        return (self._transferred(batch) for batch in self._reader(split).spread(limit))

    def forget_loaders(self) -> None:
        """Loaders are asked for anew, where they have changed."""
        self._readers.clear()

    def _reader(self, split: Split) -> LoaderReader:
        if not self.has(split):
            if split == "train":
                raise DataError(f"{self.name}: train: expected at least one batch, got none")
            there = ", ".join(name for name in SPLITS if self.has(name))
            raise DataError(f"{self.name}: expected one of its splits {there}, got {split}")
        if split not in self._readers:
            loader = self.loader(split)
            if not is_loader(loader):
                raise DataError(
                    f"{self.name}: {split}: expected a loader that can be iterated in every epoch, "
                    f"got {type(loader).__name__}"
                )
            self._readers[split] = LoaderReader(loader)
        return self._readers[split]

    def _transferred(self, batch: Any) -> Any:
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        with unchanged_streams(0):
            batch = self.on_before_batch_transfer(batch, 0)
            batch = self.transfer_batch_to_device(batch, device, 0)
            return self.on_after_batch_transfer(batch, 0)

    def _rows(self, split: Split) -> Array | None:
        parts = [_x_of(batch) for batch in self._read(split, _READ_ROWS)]
        found = [x.detach().cpu() for x in parts if x is not None]
        shapes = {tuple(x.shape[1:]) for x in found}
        if not found or len(found) < len(parts) or (len(shapes) > 1 and split == "train"):
            return None
        if shapes != {self.event_shape}:
            got = ", ".join(map(str, sorted(shapes)))
            raise DataError(f"{self.name}: {split}: expected data of shape {self.event_shape} like train's, got {got}")
        x = torch.cat(found)
        rows: Array = (x.float() if x.is_floating_point() else x).numpy()
        return rows

    @cached_property
    def _values(self) -> tuple[Kind | None, Tensor | None]:
        shape, train = self.event_shape, self._rows("train")
        if train is None or shape is None:
            return self._stated, None
        others = {str(split): self._rows(split) for split in SPLITS if split != "train" and self.has(split)}
        rows = {"train": train} | {split: array for split, array in others.items() if array is not None}
        # Missing values, NaN, are left to the model; the values present decide the kind.
        finite = {split: array[np.isfinite(array)] for split, array in rows.items()}
        if not len(finite["train"]):
            return self._stated, None
        facts = {split: Values.of(array) for split, array in finite.items() if len(array)}
        if self._stated is None:
            kind = kind_of(facts, shape, where=self.name)
        else:
            kind = self._stated
            check_stated(kind, facts, shape, where=self.name)
        mean = np.ma.masked_invalid(train.astype(np.float64)).mean(axis=0).filled(0.0)
        return kind, torch.from_numpy(mean).to(torch.float32)


def _is_empty(loader: Any) -> bool:
    try:
        return len(loader) == 0
    except (TypeError, NotImplementedError):  # of a stream
        return False


def _x_of(batch: Any) -> Tensor | None:
    x = datum_of(batch)
    return x if isinstance(x, Tensor) and x.ndim > 1 and x.numel() and not x.is_complex() else None
