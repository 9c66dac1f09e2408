"""The values by which a trial is judged."""

import math

import pytest

from reparam_suite.studies.values import mean_of, value_of


def test_a_value_and_the_mean_over_runs():
    assert value_of({"val/elbo": -3.0}, "val/elbo") == -3.0
    assert mean_of([{"a": 1.0}, {"a": 4.0}], "a") == 2.5


def test_what_a_run_does_not_have_is_told_with_what_it_has():
    with pytest.raises(ValueError, match=r"the run has no metric val/elb, did you mean val/elbo\? It has a, val/elbo"):
        value_of({"val/elbo": 1.0, "a": 2.0}, "val/elb")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_none(value):
    with pytest.raises(ValueError, match=f"a is {value}"):
        mean_of([{"a": 1.0}, {"a": value}], "a")
