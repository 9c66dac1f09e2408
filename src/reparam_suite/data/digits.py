"""Handwritten digits that come with scikit-learn."""

from importlib.util import find_spec
from pathlib import Path
from typing import final

import numpy as np

from reparam_suite.data.in_memory import ArrayDataModule, Binarization
from reparam_suite.data.kinds import Kind
from reparam_suite.data.splits import Splits
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import DataError


@final
class Digits(ArrayDataModule):
    """1,797 handwritten digits of 8 x 8 pixels in 17 grey levels; part of scikit-learn, no download.

    Of every seven images in a row, the sixth is for validation and the seventh for the test: 1,285 / 256 / 256.

    Args:
        event_shape: of a digit: (64,), (8, 8), (1, 8, 8) or another one of 64 elements.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey images: "dynamic" draws the training rows anew in each epoch, "fixed" once for all runs;
            "none" gives intensities in [0, 1].
        seed: of the order of the training batches and of their binarization; by default the run's, without a run 0.
    """

    name = "Digits"
    source = "scikit-learn"

    def __init__(
        self,
        *,
        event_shape: tuple[int, ...] = (64,),
        batch_size: int = 100,
        binarization: Binarization = "dynamic",
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, binarization=binarization, seed=seed)
        self._event_shape = checks.shape("event_shape", event_shape, num_elements=64)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a digit."""
        return self._event_shape

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height and width, whatever the event shape."""
        return super().image_shape or (8, 8)

    @property
    def kind(self) -> Kind:
        """The kind of the batches: "binary", or "grey" where nothing is binarized."""
        return self.kind_of_batches("grey")

    def read(self) -> Splits:
        """Returns the source arrays."""
        x = np.loadtxt(_file(), delimiter=",", dtype=np.uint8)[:, :-1]  # the last column is the class
        seventh = np.arange(len(x)) % 7
        return Splits(train=x[seventh < 5], valid=x[seventh == 5], test=x[seventh == 6], levels=16, kind=self.kind)


def _file() -> Path:
    # Read as scikit-learn reads it, without importing scikit-learn: that takes as long as a short run.
    package = find_spec("sklearn")
    file = Path(package.origin).parent / "datasets/data/digits.csv.gz" if package and package.origin else None
    if file is None or not file.is_file():
        raise DataError("Digits: expected scikit-learn with its digits.csv.gz, got none: install scikit-learn")
    return file
