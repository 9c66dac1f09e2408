"""Data sets held in memory as arrays: up to three splits, fixed evaluation sets, a position that can be saved."""

from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor

from reparam_suite.data.base import SPLITS, Split
from reparam_suite.data.batches import FIXED, EvaluationBatches, TrainBatches, binarize, keyed_generator
from reparam_suite.data.kinds import Kind
from reparam_suite.data.positioned import Place, PositionedDataModule
from reparam_suite.data.splits import Facts, Splits
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError

Binarization = Literal["dynamic", "fixed", "none"]

# Keys of the fixed binarization of each split, the same in every run so that their numbers compare.
_FIXED_KEYS: dict[Split, int] = {"train": 0, "valid": 1, "test": 2}


class ArrayDataModule(PositionedDataModule, ABC):
    """A data set that is stored as a whole on the training device; every batch is x, [b, *event_shape] float32.

    Where grey images are binarized, training rows are by `binarization`, validation and test rows once and for all,
    alike in every run. Without a trainer everything stays on the CPU.

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey images: "dynamic" draws the training rows anew in each epoch, "fixed" once for all runs;
            "none" gives intensities in [0, 1].
        seed: of the order of the training batches and of their binarization; by default the run's, without a run 0.

    Raises:
        ArgumentTypeError: if an argument has a wrong type.
        ArgumentValueError: if an argument is out of range.
    """

    def __init__(
        self, *, batch_size: int = 100, binarization: Binarization = "dynamic", seed: int | None = None
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        checks.one_of("binarization", binarization, get_args(Binarization))
        self.binarization: Binarization = binarization
        self._known: Facts | None = None
        self._x: dict[Split, Tensor] = {}

    @abstractmethod
    def read(self) -> Splits:
        """Returns the source arrays.

        Raises:
            DataError: if they are missing, corrupt or of a wrong kind.
        """

    @property
    @abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a datum x."""

    def kind_of_batches(self, source: Kind) -> Kind:
        """The kind of the batches of rows of a kind."""
        return "binary" if source == "grey" and self.binarization != "none" else source

    @property
    def kind(self) -> Kind:
        """The kind of the batches."""
        return self._facts.kind

    @property
    def levels(self) -> int | None:
        """The level that stands for intensity 1 in grey and colour images; else None."""
        return self._facts.divisor or super().levels

    @property
    def divisor(self) -> int | None:
        """The divisor that makes integers of the source intensities, binarized or not; None takes them as they are."""
        return self._facts.divisor or self._facts.grey_levels

    @property
    def num_rows(self) -> dict[Split, int]:
        """Number of data in each split."""
        return dict(self._facts.num_rows)

    @property
    def digest(self) -> str:
        """Short hash of the source arrays, whatever their event shape."""
        return self._facts.digest

    @property
    def train_mean(self) -> Tensor:
        """Mean training row, of event_shape, on the training device; of the intensities of grey images."""
        _ = self._facts
        return self._mean

    @property
    def summary(self) -> str:
        """One line: the kind that the data are taken for, their event shape and the number of rows of each split."""
        levels, line = self._facts.grey_levels, super().summary
        if levels is None:
            return line
        when = "in each epoch" if self.binarization == "dynamic" else "once"
        return line.replace(": binary", f": binary, drawn {when} from grey values 0..{levels}", 1)

    def has(self, split: Split) -> bool:
        """Whether there is such a split."""
        checks.one_of("split", split, SPLITS)
        return split in self._facts.num_rows

    def open(self) -> None:
        """Loads the data, where they are not."""
        if self._known is None:
            self.load(self.read())

    @property
    def _facts(self) -> Facts:
        if self._known is None:
            self.prepare_data()
            return self.load(self.read())
        return self._known

    def load(self, splits: Splits) -> Facts:
        """Stores source arrays, binarized and reshaped as batches are to have them."""
        facts = Facts.of(splits)
        # Reshaped here, once, and not in every batch.
        x = {split: torch.from_numpy(rows).reshape(-1, *self.event_shape) for split, rows in splits.arrays().items()}
        if facts.grey_levels is not None:
            for split in x:
                if split != "train" or self.binarization == "fixed":
                    x[split] = self._fixed(x[split], split, facts.grey_levels)
        self._mean = splits.mean().reshape(self.event_shape)
        self._x, self._known = x, facts
        return facts

    def _fixed(self, intensity: Tensor, split: Split, levels: int) -> Tensor:
        # On the CPU whatever the training device: another device would draw another set from the same key.
        generator = keyed_generator(FIXED, _FIXED_KEYS[split])
        return binarize(intensity.cpu(), levels=levels, generator=generator).to(intensity.device)

    @property
    def _redrawn(self) -> int | None:
        """The levels of training rows that are binarized in each epoch, if they are."""
        return self._facts.grey_levels if self.binarization == "dynamic" else None

    def train_batches(self, place: Place) -> TrainBatches:
        """The training batches at a place, to whose device the data are moved."""
        self._x = {split: rows.to(place.device) for split, rows in self._x.items()}
        self._mean = self._mean.to(place.device)
        return TrainBatches(
            self._x["train"],
            levels=self._redrawn,
            divisor=self._facts.divisor,
            batch_size=self.batch_size,
            seed=self.seed_in_use,
            rank=place.rank,
            world_size=place.world_size,
        )

    def evaluation_batches(self, split: Split, place: Place) -> EvaluationBatches:
        """The rows of a split in order."""
        rows = self._rows_of(split)
        return EvaluationBatches(rows, divisor=self._facts.divisor, rank=place.rank, world_size=place.world_size)

    def undivided(self, split: Split) -> EvaluationBatches:
        """All rows of a split, in the batches in which they are evaluated, whatever the number of processes."""
        self.place_in_use()
        rows = self._rows_of(split)
        if split == "train" and self._redrawn is not None:
            rows = self._fixed(rows, split, self._redrawn)
        return EvaluationBatches(rows, divisor=self._facts.divisor)

    def sample_batch(self, split: Split = "train") -> Tensor:
        """At most `batch_size` rows evenly spaced over a split, [b, *event_shape], the same in every call and process.

        They are binarized once and for all, and no generator or training position moves.
        """
        self.place_in_use()
        x = self._rows_of(split)
        number = min(self.batch_size, len(x))
        rows = x[torch.arange(number, device=x.device) * len(x) // number]
        if split == "train" and self._redrawn is not None:
            rows = self._fixed(rows, split, self._redrawn)
        rows = rows.to(torch.float32)
        return rows / (self._facts.divisor or 1)

    def _rows_of(self, split: Split) -> Tensor:
        if not self.has(split):
            raise DataError(f"{self.name}: expected one of its splits {', '.join(self._x)}, got {split}")
        return self._x[split]
