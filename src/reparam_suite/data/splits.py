"""The source arrays of a data set, and what is known of them once they are loaded."""

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from reparam_suite.data.base import Split
from reparam_suite.data.kinds import Array, Kind


@final
@dataclass(frozen=True)
class Splits:
    """The source arrays, each [N, P].

    Attributes:
        train: rows to train on.
        valid: rows to validate on.
        test: rows to test on, if there are any.
        levels: the value that stands for intensity 1, in uint8 arrays of 0..levels (1: already binary);
            None for arrays of values as they are.
        kind: what the batches hold; "binary" with more than one level means that rows are binarized.
    """

    train: Array
    valid: Array
    test: Array | None
    levels: int | None
    kind: Kind

    def arrays(self) -> dict[Split, Array]:
        """The arrays by name."""
        given: dict[Split, Array | None] = {"train": self.train, "valid": self.valid, "test": self.test}
        return {split: array for split, array in given.items() if array is not None}

    def digest(self) -> str:
        """16 hexadecimal digits that depend on the content, the shapes and the types."""
        content = hashlib.sha256(f"{self.levels}".encode())
        for split, array in self.arrays().items():
            content.update(f"{split} {array.shape} {array.dtype}".encode())
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()[:16]

    def mean(self) -> Tensor:
        """The mean training row, [P]; of the intensities in [0, 1] where there are levels."""
        mean = self.train.mean(axis=0, dtype=np.float64) / (self.levels or 1)
        return torch.from_numpy(mean).to(torch.float32)


@final
@dataclass(frozen=True)
class Facts:
    """Answers that outlive the source arrays."""

    kind: Kind
    levels: int | None
    num_rows: dict[Split, int]
    digest: str

    @classmethod
    def of(cls, splits: Splits) -> "Facts":
        """The facts about `splits`."""
        num_rows = {split: len(array) for split, array in splits.arrays().items()}
        return cls(splits.kind, splits.levels, num_rows, splits.digest())

    @property
    def grey_levels(self) -> int | None:
        """The levels of rows that are binarized, if they are."""
        return None if self.levels == 1 or self.kind != "binary" else self.levels

    @property
    def divisor(self) -> int | None:
        """What makes values intensities, where they are not binarized."""
        return None if self.kind == "binary" else self.levels
