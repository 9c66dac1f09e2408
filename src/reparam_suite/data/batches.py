"""Batches sliced from a tensor that lies on the training device; binarization; randomness by key."""

from collections.abc import Iterator
from typing import final

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


@final
class TrainBatches:
    """The training set in shuffled batches, one epoch after another.

    The order of an epoch and its binarization depend on (seed, epoch) only. An iterator yields what *remains* of the
    current epoch, so that a loaded state continues in mid-epoch; after the last batch the next epoch is current.
    The order is drawn on the CPU and is the same on every device; the binarization is drawn where x lies.

    Args:
        x: [N, P] on the training device, uint8 or float32.
        levels: x / levels is redrawn as Bernoulli at each epoch; None yields x as it is.
        batch_size: rows of a global batch; the last one of an epoch may be smaller.
        seed: of the order and the binarization.
        rank: of this process, which takes every `world_size`-th row of a global batch.
        world_size: number of processes.
        epoch_length: batches in an epoch, where it is cut short; `len` stays that of the whole set, as Lightning wants.

    Attributes:
        num_rows: of the global batch that was yielded last, over all processes.

    Raises:
        DataError: if some batch has fewer rows than there are processes.
    """

    def __init__(
        self,
        x: Tensor,
        *,
        levels: int | None,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        epoch_length: int | None = None,
    ) -> None:
        last = (len(x) - 1) % batch_size + 1
        if min(last, batch_size) < world_size:
            raise DataError(
                f"batch_size {batch_size} leaves a last batch of {last} of the {len(x)} training rows, "
                f"too few for {world_size} processes: choose a batch_size that leaves {world_size} or more"
            )
        self._x = x
        self._levels = levels
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._num_batches = -(-len(x) // batch_size)
        self.epoch_length = self._num_batches if epoch_length is None else epoch_length
        self.num_rows = 0
        self._epoch = 0
        self._batch = 0

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[Tensor]:
        # Lightning makes iterators that it never uses: nothing may happen before the first batch is asked for.
        epoch = self._epoch
        order = torch.randperm(len(self._x), generator=keyed_generator(ORDER, self._seed, epoch))
        order = order.to(self._x.device)
        x = self._x
        if self._levels is not None:
            noise = keyed_generator(BINARIZATION, self._seed, epoch, device=x.device)
            x = binarize(x, levels=self._levels, generator=noise)
        while self._epoch == epoch:
            start = self._batch * self._batch_size
            batch = order[start : start + self._batch_size]
            self.num_rows = len(batch)
            # Before the yield: Lightning never asks for a batch beyond the last, and saves its checkpoint in between.
            self._advance()
            yield x.index_select(0, batch[self._rank :: self._world_size]).to(torch.float32)

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
                f"the saved position is batch {batch} of its epoch, but an epoch has {self._num_batches} batches now: "
                "the data or batch_size is not that of the checkpoint"
            )
        self._epoch, self._batch = epoch, batch


@final
class EvaluationBatches:
    """A fixed set in fixed order, in batches of nearly equal size and at most 500 rows over all processes.

    Args:
        x: [N, P] on the training device, uint8 or float32.
        rank: of this process, which takes every `world_size`-th row of a global batch.
        world_size: number of processes.

    Raises:
        DataError: if there are fewer rows than processes.
    """

    def __init__(self, x: Tensor, *, rank: int = 0, world_size: int = 1) -> None:
        if len(x) < world_size:
            raise DataError(f"{len(x)} rows to evaluate on are too few for {world_size} processes")
        self._x = x
        self._rank = rank
        self._world_size = world_size
        self._num_batches = -(-len(x) // max(EVALUATION_ROWS, world_size))

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self._x.tensor_split(self._num_batches):
            yield batch[self._rank :: self._world_size].to(torch.float32, copy=True)
