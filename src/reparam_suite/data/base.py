"""The questions that every data set of a run answers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from reparam_suite.data.kinds import Kind
from reparam_suite.runtime import checks

Split = Literal["train", "valid", "test"]

SPLITS: tuple[Split, ...] = get_args(Split)

Resumes = Literal["bitwise", "epoch"]

TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
"""Hooks between a loader and the model; a subclass may override them, for example to augment batches."""


class DataModule(LightningDataModule, ABC):
    """Data of a run: batches for Lightning's trainer, and answers about them.

    Every question is answered at once, without `setup`, a trainer or a run, and leaves the global random generators
    and the training order as they are.

    Attributes:
        name: of the data set, for run names and tags.
        source: where the data come from.
        resumes: "bitwise" if a stopped run continues with the very batches that remain of its epoch; "epoch" if the
            epoch in progress begins again.
    """

    name: str
    source: str
    resumes: Resumes

    @property
    @abstractmethod
    def event_shape(self) -> tuple[int, ...] | None:
        """Shape of a datum x; None where batches of others hold no x: the model alone interprets them."""

    @property
    @abstractmethod
    def kind(self) -> Kind | None:
        """The kind of the batches, decided over all splits or stated: "binary", "grey", "colour", "real" or "count".

        None where batches of others hold no x.
        """

    @property
    def levels(self) -> int | None:
        """The level that stands for intensity 1 in grey and colour images, 255 where it is not known; else None."""
        return 255 if self.kind in ("grey", "colour") else None

    @property
    def divisor(self) -> int | None:
        """The divisor that makes integers of the source intensities, binarized or not; None takes them as they are."""
        return None

    @property
    @abstractmethod
    def num_rows(self) -> dict[Split, int]:
        """Number of data in each split; a split of unknown length is left out."""

    @property
    @abstractmethod
    def train_mean(self) -> Tensor | None:
        """Mean training datum, of event_shape; of the intensities where grey rows are binarized."""

    @property
    @abstractmethod
    def digest(self) -> str | None:
        """Short hash of the content of all splits; None where there is none."""

    @abstractmethod
    def has(self, split: Split) -> bool:
        """Whether there is such a split."""

    @abstractmethod
    def sample_batch(self, split: Split = "train") -> Any:
        """A batch of fixed data spread over a split: the same in every call and process, whatever the seed."""

    @abstractmethod
    def undivided(self, split: Split) -> Iterable[Any]:
        """All data of a split in fixed order, in batches, in every process."""

    @property
    def batches_are_on_device(self) -> bool:
        """Whether batches are on the training device as they come, and no hook transfers or changes them."""
        return not any(is_overridden(hook, self) for hook in TRANSFERS)

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """[H, W], [1, H, W] or [3, H, W] if a datum is shown as an image, else None."""
        return None if self.event_shape is None else image_shape_of(self.event_shape)

    @property
    def summary(self) -> str:
        """One line: the kind that the data are taken for, their event shape and the number of rows of each split."""
        rows = ", ".join(f"{split} {number}" for split, number in self.num_rows.items())
        x = f"{self.kind}, event shape {self.event_shape}" if self.event_shape else "batches of the model's own form"
        return f"{self.name}: {x}, rows: {rows or 'unknown'}"

    @property
    def order(self) -> Mapping[str, int]:
        """All that the order of the training rows depends on, beside the rows; empty where that is unknown."""
        return {}

    def begin(self, seed: int) -> None:
        """Starts the training order from its beginning, for a run with this seed.

        A data set with a seed of its own keeps that one; the order of foreign data is their own affair.
        """
        checks.integer("seed", seed, least=0)


def image_shape_of(event_shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """`event_shape` if it is [H, W], [1, H, W] or [3, H, W], else None."""
    is_image = len(event_shape) == 2 or (len(event_shape) == 3 and event_shape[0] in (1, 3))
    return event_shape if is_image else None
