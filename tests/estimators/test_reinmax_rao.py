"""ReinMaxRao against its exact mean, from a two-dimensional integral over the noise given the sample."""

import pytest
import torch
from tests.estimators.draws import replicate
from tests.statistics import LIMIT, NUM_REPLICATES

from reparam_suite.distributions import bernoulli, categorical
from reparam_suite.estimators import DARN, ReinMaxRao

THETA = torch.tensor([[0.2, -0.4, 1.0]], dtype=torch.float64)
CURVATURE = torch.tensor([[0.5, -1.0, 0.3], [0.2, 1.5, -0.7], [-0.4, 0.6, -1.0]], dtype=torch.float64)
SLOPE = torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64)


def quadratic(z):
    return (z * (z @ CURVATURE.T)).sum((-2, -1)) + (z * SLOPE).sum((-2, -1))


def linear(z):
    return (z * SLOPE).sum((-2, -1))


@pytest.mark.parametrize(
    ("f", "temperature", "exact"),
    [
        (quadratic, 1.0, [0.455180, 0.288335, -0.743515]),
        (quadratic, 0.5, [0.514212, 0.321942, -0.836154]),
        (linear, 1.0, [0.324065, 0.094000, -0.418065]),
        (linear, 0.5, [0.367143, 0.099146, -0.466289]),
    ],
)
@pytest.mark.parametrize("num_conditional", [1, 10])
def test_the_mean_is_the_exact_one_whatever_the_number_of_conditional_draws(f, temperature, exact, num_conditional):
    estimator = ReinMaxRao(temperature=temperature, num_conditional=num_conditional)
    _, gradient = replicate(estimator, categorical, THETA, f, 5 * NUM_REPLICATES)
    mean, error = gradient.mean(0).squeeze(0), gradient.std(0).squeeze(0) / len(gradient) ** 0.5
    exact = torch.tensor(exact, dtype=torch.float64)
    assert ((mean - exact).abs() < LIMIT * error + 1e-6).all()
    assert ((1.03 * mean - exact).abs() > LIMIT * error).any(), "an error of 3 % would not be seen"


def test_at_temperature_0_it_is_half_of_darn():
    _, cold = replicate(
        ReinMaxRao(temperature=0.01, num_conditional=200), categorical, THETA, quadratic, NUM_REPLICATES
    )
    _, darn = replicate(DARN(), categorical, THETA, quadratic, NUM_REPLICATES)
    error = ((cold.var(0) + 0.25 * darn.var(0)) / NUM_REPLICATES).sqrt()
    assert ((cold.mean(0) - 0.5 * darn.mean(0)).abs() < LIMIT * error + 0.01).all()


def test_bits_are_two_classes():
    logits = torch.tensor([0.7, -1.1], dtype=torch.float64)
    two = torch.stack([torch.zeros_like(logits), logits], -1)
    estimator = ReinMaxRao(temperature=0.7)
    _, of_bits = replicate(estimator, bernoulli, logits, lambda z: (z * SLOPE[::2]).sum(-1).sin(), 5 * NUM_REPLICATES)
    f = lambda z: (z[..., 1] * SLOPE[::2]).sum(-1).sin()  # noqa: E731
    _, of_classes = replicate(estimator, categorical, two, f, 5 * NUM_REPLICATES)
    error = ((of_bits.var(0) + of_classes[..., 1].var(0)) / len(of_bits)).sqrt()
    assert ((of_bits.mean(0) - of_classes[..., 1].mean(0)).abs() < LIMIT * error).all()
    assert (of_bits.mean(0).abs() > 30 * error).any()
