"""Columns of a table of runs and their means."""

import math

import pytest

from reparam_suite.comparison.quantities import Value, columns_of
from reparam_suite.tracking import RecordedRun


def titles(metrics, tags=None):
    return [column.title for column in columns_of([RecordedRun("a", "a", tags or {}, {}, dict.fromkeys(metrics, 0.0))])]


def test_mean_and_standard_error():
    value = Value.of([1.0, 2.0, 6.0])
    assert value.mean == 3.0
    assert value.standard_error == pytest.approx(math.sqrt(7.0 / 3.0))
    assert math.isnan(Value.of([1.0]).standard_error)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1.7976931348623157e308, -1e160])
def test_a_run_that_diverged_is_distinguished_and_spoils_no_mean(odd):
    value = Value.of([1.0, odd, 3.0])
    assert (value.mean, value.values) == (2.0, (1.0, 3.0))
    assert value.standard_error == pytest.approx(1.0)
    assert repr(value.diverged) == repr((odd,))
    alone = Value.of([odd])
    assert math.isnan(alone.mean)
    assert alone.values == ()


def test_large_numbers_do_not_overflow():
    assert Value.of([-1e149, 1e149]).standard_error == pytest.approx(1e149)


def test_columns_are_what_there_is():
    metrics = ["test/elbo", "test/bound_5000", "test/bound_100", "val/elbo", "time/ms_per_step"]
    assert titles(metrics) == ["test ELBO", "bound, K = 100", "bound, K = 5000", "ms per step"]
    assert titles(["val/elbo"]) == ["val ELBO"]
    assert titles([]) == []


def test_of_gradients_the_encoders_is_shown_and_else_that_of_every_part():
    assert titles(["grad/decoder/variance", "grad/encoder/variance", "grad/encoder/work_normalized_variance"]) == [
        "variance",
        "variance x ms",
    ]
    assert titles(["grad/hidden/variance", "grad/output/variance"]) == ["variance, hidden", "variance, output"]


def test_the_metric_that_a_run_monitors_is_a_column():
    found = columns_of([RecordedRun("a", "a", {"monitor": "-val/loss"}, {}, {"val/loss": 1.0})])
    assert [(column.title, column.better) for column in found] == [("val/loss", "lower")]
