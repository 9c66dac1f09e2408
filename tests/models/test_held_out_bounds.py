"""The held-out bounds, against exact numbers."""

import itertools
import math

import pytest
import torch
from tests.models.small import bits, discrete, gaussian, seeded
from tests.objectives.small import Bits, LinearGaussian, X
from tests.statistics import LIMIT

from reparam_suite.distributions import NormalLikelihood
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


def test_the_elbo_of_a_tiny_model_is_that_of_its_states():
    model, x = discrete().double(), bits(1, 12).double()
    z = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3).unsqueeze(1)
    q, p = model.posterior(x), model.prior()
    log_q, log_joint = q.log_prob(z), model.log_likelihood(x, z) + p.log_prob(z)
    elbo = (log_q.exp() * (log_joint - log_q)).sum()
    evidence = log_joint.logsumexp(0)
    num_rows = 10_000
    with seeded():
        drawn = held_out_bounds(model, x.expand(num_rows, -1), 100)
    error = drawn["elbo"].std() / num_rows**0.5
    assert (drawn["elbo"].mean() - elbo).abs() < LIMIT * error
    assert (drawn["bound"].mean() - evidence).abs() < 0.05 * (evidence - elbo), "100 samples close the gap"
    assert drawn["bound"].mean() < evidence + LIMIT * drawn["bound"].std() / num_rows**0.5


def test_the_bound_of_a_linear_model_reaches_its_evidence():
    """No layer hidden and a Normal likelihood: p(x) is a normal in closed form."""
    model = gaussian(hidden_sizes=(), likelihood=NormalLikelihood(), event_shape=(4,), latent_size=2).double()
    torch.nn.init.constant_(
        model.posterior.network[0].bias[2:], 1.0
    )  # q wider than the posterior: the weights have no heavy tail
    layer = model.likelihood.network[0]
    noise = math.exp(2.0 * model.likelihood.family.log_scale.item())
    covariance = layer.weight @ layer.weight.T + noise * torch.eye(4, dtype=torch.float64)
    p = torch.distributions.MultivariateNormal(layer.bias, covariance)
    x = torch.tensor([[0.8, -0.3, 1.1, 0.2]], dtype=torch.float64)
    with seeded(), torch.no_grad():
        drawn = held_out_bounds(model, x.expand(2_000, -1), 500)
        evidence = p.log_prob(x)
    gap = evidence - drawn["elbo"].mean()
    assert gap > 0.05
    assert (drawn["bound"].mean() - evidence).abs() < 0.05 * gap
