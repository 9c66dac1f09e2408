"""Weak derivatives: the laws they are made of, their variances, coupling, and bad input."""

import math

import pytest
import torch
from tests.estimators.draws import replicate, with_noise
from tests.statistics import LIMIT, SEED

from reparam_suite.distributions import bernoulli, normal
from reparam_suite.estimators import CoupledMeasureValued, Expectation, LocalExpectation, MeasureValued

BOTH = [MeasureValued, CoupledMeasureValued]


def square(z):
    return z.square().sum(-1)


def standard(phi):
    # One latent: phi is its mean and its standard deviation.
    return normal(*phi.chunk(2, -1))


# At loc mu and scale 1, f = z^2; W is Weibull with E W^2 = 2, Var W = 2 - pi/2, Var W^2 = 4 (W^2 is exponential of mean
# 2), M is Maxwell with E M^2 = 3, E M^4 = 15, eps is normal, U uniform.
#
# By loc, coupled:      ((mu + W)^2 - (mu - W)^2) / sqrt(2 pi) = 4 mu W / sqrt(2 pi).
# By loc, independent:  each square has variance 4 mu^2 Var W + Var W^2 +- 4 mu Cov(W, W^2), and the two signs cancel.
# By scale, coupled:    (mu + M)^2 - (mu + M U)^2 = M^2 (1 - U^2) + 2 mu M (1 - U), the two uncorrelated;
#                       E (1 - U^2)^2 = 8/15, E (1 - U)^2 = 1/3, and the mean is 2.
# By scale, independent: Var (mu + M)^2 = 6 + 12 mu^2, Var (mu + eps)^2 = 2 + 4 mu^2.
def variances(mu):
    weibull = 2.0 - math.pi / 2.0
    return {
        CoupledMeasureValued: (16.0 * mu**2 * weibull / (2.0 * math.pi), 8.0 + 4.0 * mu**2 - 4.0),
        MeasureValued: ((8.0 * mu**2 * weibull + 8.0) / (2.0 * math.pi), 8.0 + 16.0 * mu**2),
    }


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("mu", [2.0, 0.3])
def test_variance_is_that_of_theory(cls, mu):
    phi = torch.tensor([mu, 1.0], dtype=torch.float64)
    _, drawn = replicate(cls(), standard, phi, square, 400_000)
    assert drawn.var(0).tolist() == pytest.approx(variances(mu)[cls], rel=0.05)
    assert ((drawn.mean(0) - torch.tensor([2.0 * mu, 2.0])) / (drawn.std(0) / 400_000**0.5)).abs().max() < LIMIT


@pytest.mark.parametrize(("mu", "helps"), [(2.0, False), (0.3, True)])
def test_coupling_helps_where_f_is_mostly_even(mu, helps):
    # By loc its variance is 4 Var(odd part) instead of 2 Var(odd part) + 2 Var(even part); here 2 mu W and W^2.
    phi = torch.tensor([mu, 1.0], dtype=torch.float64)
    coupled, independent = (replicate(cls(), standard, phi, square, 100_000)[1][:, 0].var() for cls in reversed(BOTH))
    assert (coupled < independent) == helps


@pytest.mark.parametrize("cls", BOTH)
def test_laws_have_the_moments_of_weibull_and_maxwell(cls):
    # f of one latent tells which law it was drawn from: it is handed the value's samples first, then the three laws.
    handed = []

    def f(z, _):
        handed.append(z.flatten())
        return z.squeeze(-1)

    torch.manual_seed(SEED)
    zeros = torch.zeros(400_000, 1, dtype=torch.float64)
    cls()(Expectation(q=normal(zeros, torch.ones_like(zeros)), f=f))
    base, right, left, maxwell = handed
    assert right.min() > 0
    assert left.max() < 0
    expected = [
        (base, [0.0, 1.0, 0.0, 3.0]),
        (right, [math.sqrt(math.pi / 2.0), 2.0, 3.0 * math.sqrt(math.pi / 2.0), 8.0]),
        (-left, [math.sqrt(math.pi / 2.0), 2.0, 3.0 * math.sqrt(math.pi / 2.0), 8.0]),
        (maxwell, [0.0, 3.0, 0.0, 15.0]),
    ]
    for drawn, moments in expected:
        for power, moment in enumerate(moments, start=1):
            powers = drawn.pow(power)
            assert ((powers.mean() - moment) / (powers.std() / 400_000**0.5)).abs() < LIMIT
    assert torch.equal(right, -left) == (cls is CoupledMeasureValued)
    # Coupled, the normal is the Maxwell shrunk by a uniform factor.
    ratio = base / maxwell
    assert bool(((ratio > 0) & (ratio < 1)).all()) == (cls is CoupledMeasureValued)
    if cls is CoupledMeasureValued:
        for power in (1, 2, 3):
            powers = ratio.pow(power)
            assert ((powers.mean() - 1 / (power + 1)) / (powers.std() / 400_000**0.5)).abs() < LIMIT


def test_on_bits_the_coupled_one_is_the_local_expectation():
    torch.manual_seed(SEED)
    logits = (2.0 * torch.randn(30, 5, dtype=torch.float64)).requires_grad_()
    coupled = CoupledMeasureValued(num_samples=3)
    u = coupled.draw(bernoulli(logits))
    local = with_noise(LocalExpectation(num_samples=3), (torch.logit(u[0]) < logits).double())

    def target():
        return Expectation(q=bernoulli(logits), f=lambda z, _: (z * torch.arange(5.0)).sum(-1).cos())

    assert coupled.evaluations(target().q) == local.evaluations(target().q)
    objectives = [with_noise(coupled, u)(target()).objective, local(target()).objective]
    gradients = [torch.autograd.grad(objective.sum(), logits)[0] for objective in objectives]
    torch.testing.assert_close(objectives[0], objectives[1], rtol=0, atol=0)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-13, atol=1e-15)


def test_coupled_on_a_sum_over_bits_has_no_variance():
    logits = torch.tensor([0.8, -1.3, 0.1], dtype=torch.float64)
    weight = torch.tensor([1.0, -2.0, 0.3], dtype=torch.float64)
    _, drawn = replicate(CoupledMeasureValued(), bernoulli, logits, lambda z: (z * weight).sum(-1), 1000)
    exact = weight * logits.sigmoid() * (-logits).sigmoid()
    torch.testing.assert_close(drawn, exact.expand(1000, 3), rtol=0, atol=1e-14)


@pytest.mark.parametrize("cls", BOTH)
def test_a_constant_has_no_gradient(cls):
    for family, phi in ((standard, torch.tensor([0.4, 0.7])), (bernoulli, torch.tensor([0.4, -2.0]))):
        _, drawn = replicate(cls(), family, phi, lambda z: 0.0 * z.sum(-1) + 3.7, 10)
        assert drawn.abs().max() == 0


@pytest.mark.parametrize("cls", BOTH)
def test_chunks_change_nothing(cls):
    torch.manual_seed(SEED)
    phi = torch.randn(7, 10, dtype=torch.float64).exp()
    f = lambda z: (z * torch.arange(5.0)).sum(-1).cos()  # noqa: E731
    whole = cls(num_samples=2)
    noise = whole.draw(standard(phi))
    expected = replicate(with_noise(whole, noise.unsqueeze(2)), standard, phi, f, 1)
    pieces = with_noise(cls(num_samples=2, chunk_size=2), noise.unsqueeze(2))
    torch.testing.assert_close(replicate(pieces, standard, phi, f, 1), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cls", BOTH)
def test_an_empty_chunk_is_refused(cls):
    with pytest.raises(ValueError, match=f"chunk_size of {cls.__name__}: expected an integer of at least 1, got 0"):
        cls(chunk_size=0)
