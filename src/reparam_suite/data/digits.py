"""Handwritten digits that come with scikit-learn."""

from importlib.util import find_spec
from pathlib import Path
from typing import final

import numpy as np

from reparam_suite.data.base import ArrayDataModule, Splits
from reparam_suite.runtime.errors import DataError


@final
class Digits(ArrayDataModule):
    """1,797 handwritten digits of 8 x 8 pixels in 17 grey levels; part of scikit-learn, no download.

    Of every seven images in a row, the sixth is for validation and the seventh for the test: 1,285 / 256 / 256.

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey training images: "dynamic" draws them anew each epoch, "fixed" once for all runs.
        seed: of the order of the training batches and of their binarization.
    """

    name = "Digits"
    num_features = 64
    image_shape = (8, 8)
    observation = "binary"
    source = "scikit-learn"

    def _read(self) -> Splits:
        x = np.loadtxt(_file(), delimiter=",", dtype=np.uint8)[:, :-1]  # the last column is the class
        seventh = np.arange(len(x)) % 7
        return Splits(train=x[seventh < 5], valid=x[seventh == 5], test=x[seventh == 6], levels=16)


def _file() -> Path:
    # Read as scikit-learn reads it, without importing scikit-learn: that takes as long as a short run.
    package = find_spec("sklearn")
    file = Path(package.origin).parent / "datasets/data/digits.csv.gz" if package and package.origin else None
    if file is None or not file.is_file():
        raise DataError("Digits is part of scikit-learn, which is not installed or has no digits.csv.gz")
    return file
