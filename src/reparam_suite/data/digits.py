"""Handwritten digits that come with scikit-learn."""

from typing import final

import numpy as np

from reparam_suite.data.base import ArrayDataModule, Splits


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
        from sklearn.datasets import load_digits  # slow to import, and only this class needs it

        x = load_digits().data.astype(np.uint8)
        seventh = np.arange(len(x)) % 7
        return Splits(train=x[seventh < 5], valid=x[seventh == 5], test=x[seventh == 6], levels=16)
