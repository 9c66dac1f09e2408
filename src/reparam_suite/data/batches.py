"""Batches sliced from a tensor on the training device; binarization; randomness by key."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from reparam_suite.runtime.errors import DataError

# The first number of a key: what the draws are for. Two purposes never share a stream.
ORDER, BINARIZATION, FIXED = 0, 1, 2

EVALUATION_ROWS = 500


def keyed_generator(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on the key alone; no other generator is touched."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(seed))


def binarize(intensity: Tensor, *, levels: int, generator: torch.Generator) -> Tensor:
    """Bernoulli(intensity / levels) as 0 and 1 in uint8, of the same shape.

    u is uniform on {0, ..., levels - 1}, so P(u < k) = k / levels for every k in {0, ..., levels}: no rounding.
    """
    u = torch.randint(levels, intensity.shape, dtype=torch.uint8, generator=generator, device=intensity.device)
    return (u < intensity).view(torch.uint8)


class ShuffledBatches(ABC):
    """The training rows in shuffled batches, one epoch after another.

    The order of an epoch depends on (seed, epoch) only. An iterator yields what *remains* of the current epoch, so that
    a loaded state continues in mid-epoch; after the last batch the next epoch is current. The order is drawn on the CPU
    and is the same on every device.

    Args:
        total: number of rows.
        batch_size: rows of a global batch; the last one of an epoch may be smaller.
        seed: of the order.
        rank: of this process, which takes every `world_size`-th row of a global batch.
        world_size: number of processes.
        epoch_length: batches in an epoch, where it is cut short; `len` stays that of the whole set, as Lightning wants.
        index_device: where the indices are wanted.

    Attributes:
        num_rows: of the global batch that was yielded last, over all processes.

    Raises:
        DataError: if some batch has fewer rows than there are processes.
    """

    def __init__(
        self,
        total: int,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        epoch_length: int | None = None,
        index_device: torch.device | str = "cpu",
    ) -> None:
        last = (total - 1) % batch_size + 1
        if min(last, batch_size) < world_size:
            raise DataError(
                f"batch_size {batch_size}: expected batches of at least {world_size} rows, one per process, "
                f"got a last batch of {last} of the {total} training rows"
            )
        self.seed = seed
        self._total = total
        self._index_device = index_device
        self._batch_size = batch_size
        self._rank = rank
        self._world_size = world_size
        self._num_batches = -(-total // batch_size)
        self.epoch_length = self._num_batches if epoch_length is None else epoch_length
        self.num_rows = 0
        self._epoch = 0
        self._batch = 0

    def __len__(self) -> int:
        return self._num_batches

    @abstractmethod
    def rows_of(self, batches: Iterator[Tensor], epoch: int) -> Iterator[Tensor]:
        """The rows of batches of an epoch, given as indices; those of a batch are asked for when it is due."""

    def __iter__(self) -> Iterator[Tensor]:
        # Lightning makes iterators that it never uses: nothing may happen before the first batch is asked for.
        epoch, first = self._epoch, self._batch
        order = torch.randperm(self._total, generator=keyed_generator(ORDER, self.seed, epoch))
        order = order.to(self._index_device)
        starts = range(first * self._batch_size, self._total, self._batch_size)[: max(1, self.epoch_length - first)]
        shares = (order[start : start + self._batch_size][self._rank :: self._world_size] for start in starts)
        for start, rows in zip(starts, self.rows_of(shares, epoch), strict=False):
            self.num_rows = min(self._batch_size, self._total - start)
            # Before the yield: Lightning never asks for a batch beyond the last, and saves its checkpoint in between.
            self._advance()
            yield rows

    def _advance(self) -> None:
        self._batch += 1
        if self._batch >= self.epoch_length:
            self._epoch, self._batch = self._epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """The epoch and the number of its batches already yielded."""
        return {"epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue from where `state_dict` was taken.

        Raises:
            DataError: if the epoch has fewer batches than were already yielded.
        """
        epoch, batch = state_dict["epoch"], state_dict["batch"]
        if not 0 <= batch < self._num_batches:
            raise DataError(
                f"saved position: expected a batch below {self._num_batches}, the batches of an epoch, got {batch}; "
                "the data or batch_size differ from the checkpoint's"
            )
        self._epoch, self._batch = epoch, batch


@final
class TrainBatches(ShuffledBatches):
    """Shuffled batches sliced from a tensor; their binarization is drawn on the device of x, by (seed, epoch) only.

    Args:
        x: [N, *event] on the training device, uint8 or float32.
        levels: x / levels is redrawn as Bernoulli at each epoch; None yields x as it is.
        divisor: of the values of a batch; None leaves them as they are.
        options: of `ShuffledBatches`: batch_size, seed, rank, world_size, epoch_length.

    Raises:
        DataError: if some batch has fewer rows than there are processes.
    """

    def __init__(self, x: Tensor, *, levels: int | None = None, divisor: int | None = None, **options: Any) -> None:
        super().__init__(len(x), index_device=x.device, **options)
        self._x = x
        self._levels = levels
        self._divisor = divisor

    def rows_of(self, batches: Iterator[Tensor], epoch: int) -> Iterator[Tensor]:
        """Sliced from x, binarized where it has levels."""
        x = self._x
        if self._levels is not None:
            noise = keyed_generator(BINARIZATION, self.seed, epoch, device=x.device)
            x = binarize(x, levels=self._levels, generator=noise)
        for batch in batches:
            rows = x.index_select(0, batch).to(torch.float32)
            yield rows if self._divisor is None else rows.div_(self._divisor)


@final
class EvaluationBatches:
    """A fixed set in fixed order, in batches of nearly equal size and at most 500 rows over all processes.

    Args:
        x: [N, *event] on the training device, uint8 or float32.
        divisor: of the values of a batch; None leaves them as they are.
        rank: of this process, which takes every `world_size`-th row of a global batch.
        world_size: number of processes.

    Raises:
        DataError: if there are fewer rows than processes.
    """

    def __init__(self, x: Tensor, *, divisor: int | None = None, rank: int = 0, world_size: int = 1) -> None:
        if len(x) < world_size:
            raise DataError(f"rows to evaluate on: expected at least {world_size}, one per process, got {len(x)}")
        self._x = x
        self._divisor = divisor
        self._rank = rank
        self._world_size = world_size
        self._num_batches = -(-len(x) // max(EVALUATION_ROWS, world_size))

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self._x.tensor_split(self._num_batches):
            rows = batch[self._rank :: self._world_size].to(torch.float32, copy=True)
            yield rows if self._divisor is None else rows.div_(self._divisor)
