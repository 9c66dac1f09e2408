"""The base of the suite's own data sets: an order of the training rows by seed, and a position that can be saved."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from reparam_suite.data.base import DataModule, Split
from reparam_suite.data.batches import ShuffledBatches
from reparam_suite.runtime import checks


@final
@dataclass(frozen=True)
class Place:
    """Where a process trains.

    Attributes:
        device: of the batches.
        rank: of the process, which takes every `world_size`-th row of a batch.
        world_size: number of processes.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1


class PositionedDataModule(DataModule, ABC):
    """A data set whose training order depends on a seed alone, and which resumes with the very batches that remain.

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.

    Raises:
        ArgumentTypeError: if an argument has a wrong type.
        ArgumentValueError: if an argument is out of range.
    """

    resumes = "bitwise"

    def __init__(self, *, batch_size: int, seed: int | None) -> None:
        super().__init__()
        self.batch_size = checks.integer("batch_size", batch_size, least=1)
        self.seed = None if seed is None else checks.integer("seed", seed, least=0)
        self._run_seed = 0
        self._place: Place | None = None
        self._batches: ShuffledBatches | None = None
        self._position = {"epoch": 0, "batch": 0}

    @abstractmethod
    def open(self) -> None:
        """Finds out what the data are, where that is not known yet."""

    @abstractmethod
    def train_batches(self, place: Place) -> ShuffledBatches:
        """The training batches at a place, from their beginning."""

    @abstractmethod
    def evaluation_batches(self, split: Split, place: Place) -> Iterable[Tensor]:
        """The rows of a split in fixed order, in batches."""

    @property
    def seed_in_use(self) -> int:
        """The seed of the training order: the data set's own, else the run's, else 0."""
        return self._run_seed if self.seed is None else self.seed

    @property
    def order(self) -> Mapping[str, int]:
        """The number of rows in a batch, and the seed."""
        return {"batch_size": self.batch_size, "seed": self.seed_in_use}

    def begin(self, seed: int) -> None:
        """Starts the training order from its beginning, for a run with this seed."""
        self._run_seed = checks.integer("seed", seed, least=0)
        self._position = {"epoch": 0, "batch": 0}
        self._batches = self._place = None

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (Lightning's signature)
        """Opens the data, once, for the device of the training."""
        self.open()
        place = self._find_place()
        if place != self._place:
            position = self.state_dict()
            batches = self.train_batches(place)
            batches.load_state_dict(position)
            self._batches, self._place = batches, place

    def _find_place(self) -> Place:
        if self.trainer is None:
            return Place(torch.device("cpu"))
        return Place(self.trainer.strategy.root_device, self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self) -> ShuffledBatches:
        """The training batches; see `ShuffledBatches` for what an iteration yields."""
        self.place_in_use()
        batches = self._batches
        assert batches is not None
        if self.trainer is not None:
            # Lightning drops an epoch at its limit without a word to the loader.
            limit = self.trainer.limit_train_batches
            length = min(len(batches), limit) if isinstance(limit, int) else int(len(batches) * limit)
            batches.epoch_length = max(1, length)
        return batches

    def val_dataloader(self) -> Iterable[Tensor]:
        """The validation rows, in order."""
        return self.evaluation_batches("valid", self.place_in_use())

    def test_dataloader(self) -> Iterable[Tensor]:
        """The test rows, in order."""
        return self.evaluation_batches("test", self.place_in_use())

    def place_in_use(self) -> Place:
        """Where the process trains, after what has to be prepared and set up."""
        if self._batches is None or self._place is None:
            _ = self.num_rows  # prepares the data where they are not known yet
            self.setup()
        assert self._place is not None
        return self._place

    def state_dict(self) -> dict[str, Any]:
        """The position in the training data: the epoch and the number of its batches already yielded."""
        return dict(self._position) if self._batches is None else self._batches.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from where `state_dict` was taken, before or after `setup`."""
        if self._batches is None:
            self._position = dict(state_dict)
        else:
            self._batches.load_state_dict(state_dict)
