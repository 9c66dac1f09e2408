"""Data sets held in memory as arrays: up to three splits, fixed evaluation sets, a position that can be saved."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor

from reparam_suite.data.base import SPLITS, DataModule, Split
from reparam_suite.data.batches import FIXED, EvaluationBatches, TrainBatches, binarize, keyed_generator
from reparam_suite.data.kinds import Kind
from reparam_suite.data.splits import Facts, Splits
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError

Binarization = Literal["dynamic", "fixed", "none"]

# Keys of the fixed binarization of each split, the same in every run so that their numbers compare.
_FIXED_KEYS: dict[Split, int] = {"train": 0, "valid": 1, "test": 2}


@final
@dataclass(frozen=True)
class _Place:
    """The place of a process in the training."""

    device: torch.device
    rank: int
    world_size: int


class ArrayDataModule(DataModule, ABC):
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

    resumes = "bitwise"

    def __init__(
        self, *, batch_size: int = 100, binarization: Binarization = "dynamic", seed: int | None = None
    ) -> None:
        super().__init__()
        checks.one_of("binarization", binarization, get_args(Binarization))
        self.batch_size = checks.integer("batch_size", batch_size, least=1)
        self.binarization: Binarization = binarization
        self.seed = None if seed is None else checks.integer("seed", seed, least=0)
        self._run_seed = 0
        self._known: Facts | None = None
        self._x: dict[Split, Tensor] = {}
        self._place: _Place | None = None
        self._batches: TrainBatches | None = None
        self._position = {"epoch": 0, "batch": 0}

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
    def seed_in_use(self) -> int:
        """The seed of the training order: the data set's own, else the run's, else 0."""
        return self._run_seed if self.seed is None else self.seed

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

    def begin(self, seed: int) -> None:
        """Starts the training order from its beginning, for a run with this seed."""
        self._run_seed = checks.integer("seed", seed, least=0)
        self._position = {"epoch": 0, "batch": 0}
        self._batches = self._place = None

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (Lightning's signature)
        """Load the data, once, and move it to the training device."""
        if self._known is None:
            self.load(self.read())
        place = self._find_place()
        if place != self._place:
            self._move(place)

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

    def _find_place(self) -> _Place:
        if self.trainer is None:
            return _Place(torch.device("cpu"), rank=0, world_size=1)
        return _Place(self.trainer.strategy.root_device, self.trainer.global_rank, self.trainer.world_size)

    def _move(self, place: _Place) -> None:
        position = self.state_dict()
        self._x = {split: rows.to(place.device) for split, rows in self._x.items()}
        self._mean = self._mean.to(place.device)
        batches = TrainBatches(
            self._x["train"],
            levels=self._redrawn,
            divisor=self._facts.divisor,
            batch_size=self.batch_size,
            seed=self.seed_in_use,
            rank=place.rank,
            world_size=place.world_size,
        )
        batches.load_state_dict(position)
        self._batches, self._place = batches, place

    def train_dataloader(self) -> TrainBatches:
        """The training batches; see `TrainBatches` for what an iteration yields."""
        batches = self._ready()[0]
        if self.trainer is not None:
            # Lightning drops an epoch at its limit without a word to the loader.
            limit = self.trainer.limit_train_batches
            length = min(len(batches), limit) if isinstance(limit, int) else int(len(batches) * limit)
            batches.epoch_length = max(1, length)
        return batches

    def val_dataloader(self) -> EvaluationBatches:
        """The validation rows, in order."""
        return self._evaluation("valid")

    def test_dataloader(self) -> EvaluationBatches:
        """The test rows, in order."""
        return self._evaluation("test")

    def _evaluation(self, split: Split) -> EvaluationBatches:
        place = self._ready()[1]
        rows = self._rows_of(split)
        return EvaluationBatches(rows, divisor=self._facts.divisor, rank=place.rank, world_size=place.world_size)

    def undivided(self, split: Split) -> EvaluationBatches:
        """All rows of a split, in the batches in which they are evaluated, whatever the number of processes."""
        self._ready()
        rows = self._rows_of(split)
        if split == "train" and self._redrawn is not None:
            rows = self._fixed(rows, split, self._redrawn)
        return EvaluationBatches(rows, divisor=self._facts.divisor)

    def sample_batch(self, split: Split = "train") -> Tensor:
        """At most `batch_size` rows spread evenly over a split, [b, *event_shape], the same in every call and process.

        They are binarized once and for all, and no generator or training position moves.
        """
        self._ready()
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

    def _ready(self) -> tuple[TrainBatches, _Place]:
        if self._batches is None or self._place is None:
            _ = self._facts
            self.setup()
        assert self._batches is not None
        assert self._place is not None
        return self._batches, self._place

    def state_dict(self) -> dict[str, Any]:
        """The position in the training data: the epoch and the number of its batches already yielded."""
        return dict(self._position) if self._batches is None else self._batches.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from where `state_dict` was taken, before or after `setup`."""
        if self._batches is None:
            self._position = dict(state_dict)
        else:
            self._batches.load_state_dict(state_dict)
