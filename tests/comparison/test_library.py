"""Estimators as tables list them."""

import pytest

from reparam_suite.comparison.library import NUM_SAMPLES, Listed
from reparam_suite.estimators import DisARM, LeaveOneOut, MovingAverage, ScoreFunction


def test_one_is_made_fresh_at_its_defaults_but_for_options():
    assert Listed(DisARM).make().num_samples == DisARM().num_samples
    assert Listed(DisARM).make(num_samples=6).num_samples == 6
    first, second = (Listed(ScoreFunction, MovingAverage).make() for _ in range(2))
    assert type(first.baseline) is MovingAverage
    assert first.baseline is not second.baseline


def test_a_baseline_of_other_samples_has_several():
    made = Listed(ScoreFunction, LeaveOneOut).make()
    assert (made.num_samples, type(made.baseline)) == (NUM_SAMPLES, LeaveOneOut)
    assert Listed(ScoreFunction, LeaveOneOut).make(num_samples=2).num_samples == 2
    with pytest.raises(ValueError, match="num_samples"):
        Listed(ScoreFunction, LeaveOneOut).make(num_samples=1)
