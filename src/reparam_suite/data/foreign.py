"""Data of others: answers found by reading a few rows of their loaders."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import numpy as np
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from reparam_suite.data import checks
from reparam_suite.data.base import SPLITS, DataModule, Split
from reparam_suite.data.kinds import Array, Kind, Values, check_stated, kind_of
from reparam_suite.data.reading import LoaderReader, datum_of, fixed_streams, is_loader
from reparam_suite.runtime.errors import DataError

_READ_ROWS = 1_000  # of each split, to find the kind and the mean

TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class ForeignDataModule(DataModule, ABC):
    """Loaders whose batches are handed over as they come: x, or a tuple or list whose first member is x.

    What is asked is found by reading at most 1,000 rows of each split, when it is first asked. Training order and
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
        self._found: tuple[Kind, Tensor] | None = None

    @abstractmethod
    def _loader(self, split: Split) -> Any:
        """The loader of a split; None or empty where there is none."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a datum x."""
        if self._shape is None:
            self._shape = tuple(self._x_of(self._batch("train", 1), "train").shape[1:])
        return self._shape

    @property
    def kind(self) -> Kind:
        """What x holds: decided by the rows that are read of all splits, or stated."""
        return self._values()[0]

    @property
    def train_mean(self) -> Tensor:
        """Mean of the training rows that are read, of event_shape."""
        mean = self._values()[1]
        return mean if self.trainer is None else mean.to(self.trainer.strategy.root_device)

    @property
    def num_rows(self) -> dict[Split, int]:
        """Number of data in each split; one that only reading all of it would tell is left out."""
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
        return on_cpu and not any(is_overridden(hook, self) for hook in TRANSFERS)

    def has(self, split: Split) -> bool:
        """Whether there is such a split."""
        checks.one_of("split", split, SPLITS)
        if split in self._readers:
            return True
        loader = self._loader(split)
        return loader is not None and not (isinstance(loader, list | tuple) and not loader)

    def sample_batch(self, split: Split = "train") -> Any:
        """A batch of rows spread evenly over a map-style dataset, else the first batch; as a model is given it.

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

    def _reader(self, split: Split) -> LoaderReader:
        if not self.has(split):
            there = ", ".join(name for name in SPLITS if self.has(name))
            raise DataError(f"{self.name}: expected one of its splits {there}, got {split}")
        if split not in self._readers:
            loader = self._loader(split)
            if not is_loader(loader):
                raise DataError(
                    f"{self.name}: {split}: expected a loader that can be iterated in every epoch, "
                    f"got {type(loader).__name__}"
                )
            self._readers[split] = LoaderReader(loader)
        return self._readers[split]

    def _transferred(self, batch: Any) -> Any:
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        with fixed_streams():
            batch = self.on_before_batch_transfer(batch, 0)
            batch = self.transfer_batch_to_device(batch, device, 0)
            return self.on_after_batch_transfer(batch, 0)

    def _x_of(self, batch: Any, split: Split) -> Tensor:
        x = datum_of(batch)
        if not isinstance(x, Tensor) or x.ndim < 2 or not x.numel():
            got = f"a tensor of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise DataError(f"{self.name}: {split}: expected batches x [N, ...] or (x, ...), got {got}")
        return x

    def _rows(self, split: Split) -> Array:
        parts = [self._x_of(batch, split).detach().cpu() for batch in self._read(split, _READ_ROWS)]
        shapes = {tuple(part.shape[1:]) for part in parts}
        if len(shapes) != 1 or shapes != {self.event_shape}:
            found = ", ".join(map(str, sorted(shapes))) or "no batch"
            raise DataError(f"{self.name}: {split}: expected data of shape {self.event_shape}, got {found}")
        x = torch.cat(parts)
        x = x.float() if x.is_floating_point() else x
        if x.is_complex() or not torch.isfinite(x).all():
            raise DataError(f"{self.name}: {split}: expected finite real values, got others")
        return np.asarray(x)

    def _values(self) -> tuple[Kind, Tensor]:
        if self._found is None:
            rows = {str(split): self._rows(split) for split in SPLITS if self.has(split)}
            facts = {split: Values.of(array) for split, array in rows.items()}
            if self._stated is None:
                kind = kind_of(facts, self.event_shape, where=self.name)
            else:
                kind = self._stated
                check_stated(kind, facts, self.event_shape, where=self.name)
            mean = rows["train"].mean(axis=0, dtype=np.float64)
            self._found = kind, torch.from_numpy(np.asarray(mean)).to(torch.float32)
        return self._found
