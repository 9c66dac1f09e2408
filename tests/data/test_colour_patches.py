"""The embedded patches: whole, in colour, each in one split."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from reparam_suite.data import ColourPatches


def test_they_are_the_photographs_cut_up():
    data = ColourPatches(size=61)  # 7 x 10 patches of each
    splits = data.read()
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (100, 20, 20)
    assert (data.kind, data.event_shape, data.levels) == ("colour", (3, 61, 61), 255)
    china = load_sample_image("china.jpg")
    first, last_of_row = splits.train[0].reshape(3, 61, 61), splits.train[6].reshape(3, 61, 61)
    assert np.array_equal(first, china[:61, :61].transpose(2, 0, 1))
    assert np.array_equal(last_of_row, china[:61, 8 * 61 : 9 * 61].transpose(2, 0, 1))  # the 6th and 7th are held out
    flower = load_sample_image("flower.jpg")
    assert np.array_equal(splits.test[-1].reshape(3, 61, 61), flower[6 * 61 : 7 * 61, 9 * 61 : 610].transpose(2, 0, 1))


def test_batches_are_intensities():
    data = ColourPatches(batch_size=8)
    assert data.num_rows == {"train": 1486, "valid": 297, "test": 297}
    x = data.sample_batch("valid")
    assert x.shape == (8, 3, 16, 16)
    assert 0.0 <= float(x.min()) < 0.2 < 0.8 < float(x.max()) <= 1.0


def test_patches_larger_than_half_a_photograph_are_refused():
    with pytest.raises(ValueError, match=r"^size: expected at most 213 pixels, got 214$"):
        ColourPatches(size=214)
