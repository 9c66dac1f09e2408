"""The embedded patches: whole, in colour, each in one split."""

import pytest
from sklearn.datasets import load_sample_image

from reparam_suite.data import ColourPatches


def test_they_are_the_photographs_cut_up():
    data = ColourPatches(size=61)  # 7 x 10 patches of each
    splits = data.read()
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (100, 20, 20)
    assert (data.kind, data.event_shape, data.levels) == ("colour", (3, 61, 61), 255)
    photographs = [load_sample_image(name).transpose(2, 0, 1) for name in ("china.jpg", "flower.jpg")]
    cut = {
        image[:, row : row + 61, column : column + 61].tobytes()
        for image in photographs
        for row in range(0, 427, 61)
        for column in range(0, 610, 61)
    }
    assert {row.tobytes() for rows in (splits.train, splits.valid, splits.test) for row in rows} == cut
    assert len(cut) == 140


def test_batches_are_intensities():
    data = ColourPatches(batch_size=8)
    assert data.num_rows == {"train": 1486, "valid": 297, "test": 297}
    x = data.sample_batch("valid")
    assert x.shape == (8, 3, 16, 16)
    assert 0.0 <= float(x.min()) < 0.2 < 0.8 < float(x.max()) <= 1.0


def test_patches_larger_than_half_a_photograph_are_refused():
    with pytest.raises(ValueError, match=r"^size: expected at most 213 pixels, got 214$"):
        ColourPatches(size=214)
