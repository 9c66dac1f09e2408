"""The held-out bounds, against exact numbers."""

import itertools
import math

import pytest
import torch
from tests.objectives.small import Bits, LinearGaussian, X
from tests.statistics import LIMIT

from reparam_suite.models import held_out_bounds


def test_the_divergence_is_exact_and_the_elbo_is_the_difference():
    model = Bits()
    held_out = held_out_bounds(model, X, num_samples=3)
    q, _, log_ratio = model.exact_parts()
    assert torch.allclose(held_out["kl"], -(q * log_ratio).sum(0))
    assert torch.equal(held_out["elbo"], held_out["reconstruction"] - held_out["kl"])
    assert not any(value.requires_grad for value in held_out.values())


@pytest.mark.parametrize("max_elements", [2**24, 1, 3 * 40_000 * 2 + 1], ids=["at once", "one by one", "2 and 1"])
def test_the_mean_of_the_bounds_is_that_of_the_enumeration(max_elements):
    """Three samples, in one chunk, in three, or in two and one: the same law."""
    model = Bits()
    q, log_likelihood, log_ratio = (tensor[:, :1] for tensor in model.exact_parts())
    elbo = (q * (log_likelihood + log_ratio)).sum()
    log_weight = log_likelihood + log_ratio
    bound = sum(
        (q[i] * q[j] * q[k] * (torch.stack([log_weight[i], log_weight[j], log_weight[k]]).logsumexp(0) - math.log(3)))
        for i, j, k in itertools.product(range(4), repeat=3)
    ).squeeze()
    assert bound > elbo + 0.01, "the two are different numbers"

    num_rows = 40_000
    with torch.random.fork_rng():
        torch.manual_seed(4)
        held_out = held_out_bounds(model, X[:1].expand(num_rows, -1), num_samples=3, max_elements=max_elements)
    for name, exact in {"elbo": elbo, "bound": bound}.items():
        drawn = held_out[name]
        standard_error = drawn.std() / num_rows**0.5
        assert standard_error < 0.003 * exact.abs(), "an error of 3 % would be seen"
        assert (drawn.mean() - exact).abs() < LIMIT * standard_error, name


def test_no_chunk_is_larger_than_asked_and_all_samples_are_drawn():
    model = Bits()
    held_out_bounds(model, X, num_samples=10, max_elements=4 * X.numel() + 1)
    assert model.rows_decoded == [4, 4, 2]
    model.rows_decoded.clear()
    held_out_bounds(model, X, num_samples=3, max_elements=1)
    assert model.rows_decoded == [1, 1, 1], "a single sample is drawn where not even one fits"


@pytest.mark.parametrize("max_elements", [2**24, 21])
@pytest.mark.parametrize("num_samples", [1, 10])
def test_under_the_exact_posterior_every_draw_of_the_bound_is_the_evidence(num_samples, max_elements):
    model = LinearGaussian()
    held_out = held_out_bounds(model, X, num_samples, max_elements)
    assert torch.allclose(held_out["bound"], model.log_evidence(X), atol=1e-12)


def test_the_bound_rises_with_its_samples_towards_the_evidence():
    model = LinearGaussian(shift=0.4)
    x = X[:1].expand(20_000, -1)
    exact = model.log_evidence(X[:1])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        gaps = [(exact - held_out_bounds(model, x, k)["bound"].mean()).item() for k in (1, 4, 16)]
    # One sample is the evidence bound, whose gap is KL(q || posterior): 1/2 shift^2 1^T precision 1.
    precision = torch.eye(2, dtype=torch.float64) + model.weight.T @ model.weight / model.noise**2
    assert gaps[0] == pytest.approx(0.5 * model.shift**2 * precision.sum().item(), rel=0.05)
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0
