"""The exact numbers of the experiments by another road, and the sampled ones in standard errors of them."""

import numpy as np
import pytest
import torch
from tests.statistics import LIMIT

from experiments import dimension, the_random_node, toy_gaussian, when_the_trick_loses
from reparam_suite.distributions import multivariate_normal

# Exact for polynomials up to degree 39.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(20)
MASS = WEIGHTS / np.sqrt(2 * np.pi)


def variance(values):
    return (MASS * values**2).sum() - (MASS * values).sum() ** 2


@pytest.mark.parametrize("theta", [0.0, 0.7, 2.0])
def test_variances_of_the_toy_are_those_of_quadrature(theta):
    x = theta + NODES
    drawn = {
        "score function": x**2 * NODES,
        "best baseline": (x**2 - theta**2 - 3) * NODES,
        "pathwise": 2 * x,
    }
    for road, values in drawn.items():
        assert variance(values) == pytest.approx(toy_gaussian.exact_variance(road, theta), rel=1e-9)


def test_no_constant_baseline_of_the_toy_is_better():
    x = 2.0 + NODES
    for baseline in (6.5, 7.5):
        assert variance((x**2 - baseline) * NODES) > toy_gaussian.exact_variance("best baseline", 2.0)


@pytest.mark.parametrize("road", toy_gaussian.ROADS)
def test_monte_carlo_finds_the_mean_and_the_variance_of_the_toy(road):
    torch.manual_seed(0)
    found = toy_gaussian.monte_carlo(road, 100)
    assert abs(found["variance"] - found["exact_variance"]) < LIMIT * found["standard_error"]
    error = (found["exact_variance"] / toy_gaussian.NUM_REPEATS) ** 0.5
    assert abs(found["mean"] - 4.0) < LIMIT * error


def test_variances_under_a_cosine_are_those_of_its_fourier_series():
    # With z = theta + eps: E cos(k z) = cos(k theta) e^{-k^2/2}, and derivatives with respect to theta bring in eps.
    theta, k = 0.4, 5.0
    decay = np.exp(-(k**2) / 2)
    gradient = -k * np.sin(k * theta) * decay
    slope_squared = k**2 * (1 - np.cos(2 * k * theta) * np.exp(-2 * k**2)) / 2
    f_squared = (1 + np.cos(2 * k * theta) * (1 - 4 * k**2) * np.exp(-2 * k**2)) / 2
    found = when_the_trick_loses.exact_variances(when_the_trick_loses.COSTS[1], theta)
    assert found["gradient"] == pytest.approx(gradient, rel=1e-9)
    assert found["pathwise"] == pytest.approx(slope_squared - gradient**2, rel=1e-9)
    assert found["score function"] == pytest.approx(f_squared - gradient**2, rel=1e-9)


@pytest.mark.parametrize("cost", when_the_trick_loses.COSTS, ids=lambda cost: cost.key)
def test_the_derivative_is_that_of_the_cost(cost):
    z = torch.linspace(-1.3, 1.1, 9, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(cost.f(z).sum(), z)
    np.testing.assert_allclose(cost.derivative(z.detach().numpy()), slope.numpy(), atol=1e-12)


@pytest.mark.parametrize("road", when_the_trick_loses.ROADS)
@pytest.mark.parametrize("cost", when_the_trick_loses.COSTS, ids=lambda cost: cost.key)
def test_sampled_variances_are_those_of_quadrature(cost, road):
    torch.manual_seed(1)
    exact = when_the_trick_loses.exact_variances(cost, 0.5)
    found, error = when_the_trick_loses.sampled_variance(cost, road, 0.5, exact["baseline"])
    assert abs(found - exact[road]) < LIMIT * error


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("road", [dimension.SCORE, dimension.PATHWISE])
@pytest.mark.parametrize("objective", dimension.TOYS)
def test_traces_are_their_closed_forms(objective, road, size, monkeypatch):
    torch.manual_seed(2)
    batches = torch.tensor([dimension.measured_trace(objective, road, size) for _ in range(8)])
    error = (batches.std() / 8**0.5).clamp_min(1e-9).item()
    assert abs(batches.mean().item() - dimension.exact_trace(objective, road, size)) < LIMIT * error


def test_an_exponent_is_the_slope_in_logarithms():
    slope, error = dimension.exponent([1, 2, 4, 8], [3.0, 3 * 2**1.5, 3 * 4**1.5, 3 * 8**1.5])
    assert slope == pytest.approx(1.5)
    assert error < 1e-6
    assert dimension.exponent([1, 2, 4, 8], [1.0, 3.0, 3.0, 9.0])[1] > 0.1


def test_the_bound_at_the_posterior_is_the_evidence():
    mean, covariance = the_random_node.posterior()
    scale_tril = torch.linalg.cholesky(covariance)
    parameters = the_random_node.Parameters(full=True)
    with torch.no_grad():
        parameters.mu.copy_(mean)
        parameters.log_sigma.copy_(scale_tril.diagonal().log())
        parameters.below.copy_(scale_tril[1, 0])
    assert the_random_node.exact_bound(parameters) == pytest.approx(the_random_node.log_evidence(), abs=1e-12)
    torch.manual_seed(3)
    z = multivariate_normal(mean, 1.1 * scale_tril).sample((200_000,))
    q = multivariate_normal(mean, 1.1 * scale_tril)
    weights = (the_random_node.log_likelihood(z) + the_random_node.PRIOR.log_prob(z) - q.log_prob(z)).exp()
    error = (weights.std() / len(weights) ** 0.5).item()
    assert abs(weights.mean().item() - np.exp(the_random_node.log_evidence())) < LIMIT * error


def test_each_road_across_the_random_node_ends_where_it_must(monkeypatch):
    monkeypatch.setattr(the_random_node, "NUM_STEPS", 600)
    ends = {road.key: the_random_node.train(road, 0)[0] for road in the_random_node.ROADS}
    mean, covariance = the_random_node.posterior()
    prior, found = ends["sample"], ends["cholesky"].scale_tril().detach()
    assert prior.mu.detach().abs().max() < 0.01
    assert (prior.log_sigma.detach().exp() - 1).abs().max() < 0.01
    assert (ends["cholesky"].mu.detach() - mean).abs().max() < 0.1
    assert (found @ found.T - covariance).abs().max() < 0.1
    best = covariance.inverse().diagonal().rsqrt()
    assert (ends["diagonal"].log_sigma.detach().exp() - best).abs().max() < 0.1


def test_the_likelihood_teaches_q_only_through_the_trick():
    torch.manual_seed(5)
    found = {road.key: the_random_node.likelihood_gradients(road) for road in the_random_node.ROADS}
    assert set(found["sample"].values()) == set(found["log_q"].values()) == {0.0}
    assert set(found["cholesky"]) == {"mu", "log_sigma", "below"}
    assert min(found["cholesky"].values()) > 0.5
