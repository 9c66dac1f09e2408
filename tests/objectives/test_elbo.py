"""The bound as an expectation, and the held-out bounds, against exact numbers."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from tests.statistics import LIMIT

from reparam_suite.estimators import Average, Enumeration, LogMeanExp, Pathwise
from reparam_suite.objectives import evidence, held_out_bounds
from reparam_suite.distributions import bernoulli, kl_divergence, multivariate_normal, normal

X = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
NUM_BITS = 2


class Bits:
    """Two bits behind three pixels; q depends on x through a linear encoder."""

    def __init__(self) -> None:
        self.encoder = torch.tensor([[0.9, -0.3, 0.4], [-1.2, 0.5, 0.7]], dtype=torch.float64).requires_grad_()
        self.prior = torch.tensor([0.6, -0.9], dtype=torch.float64).requires_grad_()
        self.decoder = torch.tensor([[1.1, -0.7, 0.2], [0.4, 1.6, -1.3]], dtype=torch.float64).requires_grad_()
        self.rows_decoded: list[int] = []

    def posterior_of(self, x):
        return bernoulli(x @ self.encoder.T)

    def prior_distribution(self):
        return bernoulli(self.prior)

    def log_likelihood(self, x, z):
        self.rows_decoded.append(len(z))
        logits = z @ self.decoder
        return (x * logits - F.softplus(logits)).sum(-1)

    def states(self) -> torch.Tensor:
        """Every z, `[4, B, 2]`."""
        z = torch.tensor(list(itertools.product([0.0, 1.0], repeat=NUM_BITS)), dtype=torch.float64)
        return z.unsqueeze(1).expand(-1, len(X), -1)

    def exact_parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """q, log p(x|z) and log p(z) - log q(z) of every state, `[4, B]` each."""
        z, q = self.states(), self.posterior_of(X)
        log_q = q.log_prob(z)
        return log_q.exp(), self.log_likelihood(X, z), self.prior_distribution().log_prob(z) - log_q


class LinearGaussian:
    """p(z) = N(0, I), p(x|z) = N(W z, s^2 I); q is the exact posterior, moved by `shift`."""

    def __init__(self, shift: float = 0.0) -> None:
        self.weight = torch.tensor([[0.9, -0.4], [0.3, 1.2], [-0.8, 0.5]], dtype=torch.float64)
        self.noise = 0.7
        self.shift = shift

    def posterior_of(self, x):
        precision = torch.eye(2, dtype=torch.float64) + self.weight.T @ self.weight / self.noise**2
        covariance = torch.linalg.inv(precision)
        loc = x @ self.weight @ covariance / self.noise**2 + self.shift
        return multivariate_normal(loc, torch.linalg.cholesky(covariance).expand(len(x), 2, 2))

    def prior_distribution(self):
        return normal(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))

    def log_likelihood(self, x, z):
        return normal(z @ self.weight.T, torch.full_like(x, self.noise)).log_prob(x)

    def log_evidence(self, x) -> torch.Tensor:
        covariance = self.weight @ self.weight.T + self.noise**2 * torch.eye(3, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance).log_prob(x)


# ------------------------------------------------------------------------------------------------------------- evidence


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_sampled_and_analytic_kl_are_one_expectation(weight):
    model = Bits()
    q, log_likelihood, log_ratio = model.exact_parts()
    expected = (q * (log_likelihood + weight * log_ratio)).sum(0)
    parameters = [model.encoder, model.prior, model.decoder]
    wanted = torch.autograd.grad(expected.sum(), parameters)
    for kl in ("sampled", "analytic"):
        objective = Enumeration()(evidence(model, X, Average(), kl, weight)).objective
        assert torch.allclose(objective, expected), kl
        for found, exact in zip(torch.autograd.grad(objective.sum(), parameters), wanted, strict=True):
            assert torch.allclose(found, exact), kl


def test_only_the_sampled_kl_is_inside_f():
    model = Bits()
    z, q = model.states(), model.posterior_of(X)
    sampled, analytic = (evidence(model, X, Average(), kl, 0.5) for kl in ("sampled", "analytic"))
    log_ratio = model.prior_distribution().log_prob(z) - q.log_prob(z)
    assert torch.allclose(analytic.f(z, q), model.log_likelihood(X, z))
    assert torch.allclose(sampled.f(z, q), model.log_likelihood(X, z) + 0.5 * log_ratio)
    assert sampled.exact is None
    assert torch.equal(analytic.exact, -0.5 * kl_divergence(q, model.prior_distribution()))


def test_the_context_is_the_data_and_the_bound_is_passed_on():
    bound = LogMeanExp()
    target = evidence(Bits(), X, bound, "sampled")
    assert target.context is X
    assert target.bound is bound


# ------------------------------------------------------------------------------------------------------ held-out bounds


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
    q, log_likelihood, log_ratio = (each[:, :1] for each in model.exact_parts())
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


def test_no_chunk_is_larger_than_told_and_all_samples_are_drawn():
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


def test_evidence_of_the_linear_model_by_an_estimator_is_that_of_the_held_out_bound():
    """Training and evaluation speak of one number: under the exact posterior both are log p(x) without noise."""
    model = LinearGaussian()
    objective = Pathwise(num_samples=5)(evidence(model, X, LogMeanExp(), "sampled")).objective
    assert torch.allclose(objective, held_out_bounds(model, X, 5)["bound"], atol=1e-12)
