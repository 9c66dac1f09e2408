"""Gapped straight-through in one bit, by hand."""

import math

import pytest
import torch
from tests.estimators.fixed_noise import at, evaluate

from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import (
    Expectation,
    GappedStraightThrough,
)


def test_gapped_straight_through_of_one_bit():
    phi = torch.tensor([[0.3], [2.0], [0.3], [-1.7]], dtype=torch.float64)
    noise = torch.tensor([9.0, 9.0, -9.0, 9.0], dtype=torch.float64).reshape(1, 4, 1)
    estimator = at(noise, GappedStraightThrough(temperature=0.5, gap=1.0))

    def slope(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: theta[..., 0] * z[..., 0])

    result = evaluate(estimator, slope, phi, torch.full((4, 1), 3.0, dtype=torch.float64))
    # Selected 1, 1, 0, 1, with margins of 1 (the gap), 2 (its own), 1 and 1.
    margin = torch.tensor([1.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    p = (margin / 0.5).sigmoid()
    assert result.value.tolist() == [3.0, 3.0, 0.0, 3.0]
    torch.testing.assert_close(result.phi[:, 0], 3.0 * p * (1.0 - p) / 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GappedStraightThrough(temperature=0.0),
            "temperature of GappedStraightThrough: expected a finite number above 0",
        ),
        (
            lambda: GappedStraightThrough(gap=-0.1),
            "expected a finite number of at least 0, got -0.1",
        ),
        (
            lambda: GappedStraightThrough(gap=math.inf),
            "expected a finite number of at least 0, got inf",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
