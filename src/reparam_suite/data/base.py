"""What all data sets share: three splits in memory, fixed evaluation sets, a position that can be saved."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from reparam_suite.data.batches import FIXED, EvaluationBatches, TrainBatches, binarize, keyed_generator
from reparam_suite.runtime.errors import DataError

__all__ = ["Array", "ArrayDataModule", "Binarization", "DataError", "Split", "Splits"]

Array = npt.NDArray[Any]
Binarization = Literal["dynamic", "fixed"]
Split = Literal["train", "valid", "test"]

# Of the splits' fixed binarization, the same in every run so that their numbers compare.
_FIXED_KEYS: dict[Split, int] = {"train": 0, "valid": 1, "test": 2}


@final
@dataclass(frozen=True)
class Splits:
    """The source arrays, each [N, P].

    Attributes:
        train: rows to train on.
        valid: rows to validate on.
        test: rows to test on.
        levels: the value that stands for certainty, in uint8 arrays of 0..levels (1: already binary);
            None for float32 arrays of real values.
    """

    train: Array
    valid: Array
    test: Array
    levels: int | None

    def arrays(self) -> dict[Split, Array]:
        """The three arrays by name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    def digest(self) -> str:
        """16 hexadecimal digits that depend on the content, the shapes and the types."""
        content = hashlib.sha256(f"{self.levels}".encode())
        for split, array in self.arrays().items():
            content.update(f"{split} {array.shape} {array.dtype}".encode())
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()[:16]

    def mean(self) -> Tensor:
        """The mean training row, [P]; of the intensities in [0, 1] where they are grey."""
        mean = self.train.mean(axis=0, dtype=np.float64) / (self.levels or 1)
        return torch.from_numpy(mean).to(torch.float32)


@final
@dataclass(frozen=True)
class _Place:
    """Where a process trains."""

    device: torch.device
    rank: int
    world_size: int


class ArrayDataModule(LightningDataModule, ABC):
    """A data set that lies as a whole on the training device; every batch is x, [b, P] float32.

    Grey images are binarized: the training rows by `binarization`, validation and test rows once and for all,
    alike in every run. After `setup` the data loaders stand ready; without a trainer everything stays on the CPU.

    Attributes:
        name: of the data set, for run names and tags.
        num_features: P.
        image_shape: height and width of a row seen as an image.
        observation: "binary" or "real".
        source: where the data comes from.
        digest: short hash of the source arrays, after `setup`.
        sizes: rows of each split, after `setup`.
        train_mean: [P], mean of the training rows (of the intensities of grey images), after `setup`.

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey training images: "dynamic" draws them anew each epoch, "fixed" once for all runs.
        seed: of the order of the training batches and of their binarization.

    Raises:
        ValueError: if an argument is out of range.
    """

    name: str
    num_features: int
    image_shape: tuple[int, int] | None
    observation: str
    source: str
    digest: str
    sizes: dict[Split, int]
    train_mean: Tensor

    def __init__(self, *, batch_size: int = 100, binarization: Binarization = "dynamic", seed: int = 0) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; accepted is 1 or more")
        if binarization not in get_args(Binarization):
            raise ValueError(f'binarization is {binarization!r}; accepted is "dynamic" or "fixed"')
        if seed < 0:
            raise ValueError(f"seed is {seed}; accepted is 0 or more")
        self.batch_size = batch_size
        self.binarization: Binarization = binarization
        self.seed = seed
        self._levels: int | None = None
        self._x: dict[Split, Tensor] = {}
        self._place: _Place | None = None
        self._batches: TrainBatches | None = None
        self._position = {"epoch": 0, "batch": 0}

    @abstractmethod
    def _read(self) -> Splits:
        """Load the source arrays.

        Raises:
            DataError: if they are missing, corrupt or of a wrong kind.
        """

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  (Lightning's signature)
        """Load the data, once, and move it to the training device."""
        if not self._x:
            self._load(self._read())
        place = self._find_place()
        if place != self._place:
            self._move(place)

    def _load(self, splits: Splits) -> None:
        x = {split: torch.from_numpy(array) for split, array in splits.arrays().items()}
        self.sizes = {split: len(rows) for split, rows in x.items()}
        self.digest = splits.digest()
        self.train_mean = splits.mean()
        if splits.levels is not None and splits.levels > 1:
            self._levels = splits.levels
            for split in x:
                if split != "train" or self.binarization == "fixed":
                    x[split] = self._fixed(x[split], split)
        self._x = x

    def _fixed(self, intensity: Tensor, split: Split) -> Tensor:
        # On the CPU whatever the training device: another device would draw another set from the same key.
        assert self._levels is not None
        generator = keyed_generator(FIXED, _FIXED_KEYS[split])
        return binarize(intensity.cpu(), levels=self._levels, generator=generator).to(intensity.device)

    def _find_place(self) -> _Place:
        if self.trainer is None:
            return _Place(torch.device("cpu"), rank=0, world_size=1)
        return _Place(self.trainer.strategy.root_device, self.trainer.global_rank, self.trainer.world_size)

    def _move(self, place: _Place) -> None:
        position = self.state_dict()
        self._x = {split: rows.to(place.device) for split, rows in self._x.items()}
        self.train_mean = self.train_mean.to(place.device)
        self._batches = TrainBatches(
            self._x["train"],
            levels=self._levels if self.binarization == "dynamic" else None,
            batch_size=self.batch_size,
            seed=self.seed,
            rank=place.rank,
            world_size=place.world_size,
        )
        self._batches.load_state_dict(position)
        self._place = place

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
        return EvaluationBatches(self._x[split], rank=place.rank, world_size=place.world_size)

    def undivided(self, split: Split) -> EvaluationBatches:
        """All rows of a split, in the batches in which they are evaluated, whatever the number of processes."""
        self._ready()
        return EvaluationBatches(self._x[split])

    def sample_batch(self, split: Split = "train") -> Tensor:
        """At most `batch_size` rows spread evenly over a split, [b, P]: the same ones at every call, in every process.

        They are binarized once and for all, and no generator or training position moves.
        """
        self._ready()
        if split not in _FIXED_KEYS:
            raise ValueError(f'split is {split!r}; accepted is "train", "valid" or "test"')
        x = self._x[split]
        number = min(self.batch_size, len(x))
        rows = x[torch.arange(number, device=x.device) * len(x) // number]
        if split == "train" and self._levels is not None and self.binarization == "dynamic":
            rows = self._fixed(rows, split)
        return rows.to(torch.float32)

    def _ready(self) -> tuple[TrainBatches, _Place]:
        if self._batches is None or self._place is None:
            raise RuntimeError(f"{type(self).__name__} is not loaded: call setup() first")
        return self._batches, self._place

    def state_dict(self) -> dict[str, int]:
        """The position in the training data: the epoch and the number of its batches already yielded."""
        return dict(self._position) if self._batches is None else self._batches.state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue from where `state_dict` was taken, before or after `setup`."""
        if self._batches is None:
            self._position = dict(state_dict)
        else:
            self._batches.load_state_dict(state_dict)
