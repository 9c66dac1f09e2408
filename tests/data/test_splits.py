"""Source arrays and what is known of them."""

from dataclasses import replace

import numpy as np
import torch

from reparam_suite.data.splits import Facts, Splits

ROWS = np.arange(12, dtype=np.uint8).reshape(4, 3)
SPLITS = Splits(train=ROWS, valid=ROWS[:2], test=None, levels=16, kind="binary")


def test_a_split_that_is_not_there_is_left_out():
    assert list(SPLITS.arrays()) == ["train", "valid"]
    assert list(replace(SPLITS, test=ROWS).arrays()) == ["train", "valid", "test"]


def test_the_mean_is_that_of_intensities():
    torch.testing.assert_close(SPLITS.mean(), torch.tensor([4.5, 5.5, 6.5]) / 16)
    torch.testing.assert_close(replace(SPLITS, levels=None).mean(), torch.tensor([4.5, 5.5, 6.5]))


def test_the_digest_depends_on_content_shape_type_and_levels():
    others = [
        replace(SPLITS, train=ROWS[::-1]),
        replace(SPLITS, train=ROWS.reshape(3, 4)),
        replace(SPLITS, train=ROWS.astype(np.float32)),
        replace(SPLITS, levels=15),
        replace(SPLITS, test=ROWS),
    ]
    assert len({splits.digest() for splits in [SPLITS, *others]}) == 6
    assert replace(SPLITS, train=ROWS.copy()).digest() == SPLITS.digest()


def test_facts_say_how_batches_are_made():
    facts = Facts.of(SPLITS)
    assert facts.num_rows == {"train": 4, "valid": 2}
    assert (facts.grey_levels, facts.divisor) == (16, None)
    grey = Facts.of(replace(SPLITS, kind="grey"))
    assert (grey.grey_levels, grey.divisor) == (None, 16)
    binary = Facts.of(replace(SPLITS, levels=1))
    assert (binary.grey_levels, binary.divisor) == (None, None)
