"""Samples that carry a gradient: the von Mises' own, and estimators that know when they have landed."""

import math

import mpmath
import pytest
import torch
from scipy import special
from tests.statistics import LIMIT, SEED, Draws

from reparam_suite.distributions import VonMises, beta, dirichlet, frozen, gamma, normal, von_mises
from reparam_suite.estimators import Expectation, LogMeanExp, Pathwise, StickTheLanding

CONCENTRATIONS = [0.01, 0.3, 1.0, 4.0, 30.0, 1000.0]


def quantile_slope(x, concentration):
    """-(dF/dk) / q at x > 0 by finite differences of the distribution function, in 40 digits."""
    with mpmath.workdps(40):
        x, k, step = mpmath.mpf(x), mpmath.mpf(concentration), mpmath.mpf(10) ** -12
        width = mpmath.sqrt(1 / k)
        points = [mpmath.mpf(0), *(i * width for i in range(1, 200) if i * width < x), x]

        def above_the_mode(k):
            integral = mpmath.quad(lambda t: mpmath.exp(k * (mpmath.cos(t) - 1)), points)
            return integral / mpmath.besseli(0, k) * mpmath.exp(k) / (2 * mpmath.pi)

        density = mpmath.exp(k * mpmath.cos(x)) / (2 * mpmath.pi * mpmath.besseli(0, k))
        return float(-(above_the_mode(k + step) - above_the_mode(k - step)) / (2 * step) / density)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 2e-5), (torch.float64, 1e-8)])
@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_von_mises_samples_move_as_quantiles_do(concentration, dtype, rtol):
    deviation = min(1.0, 1.0 / math.sqrt(concentration))
    offsets = [each * deviation for each in (1e-3, 0.2, 0.9, 1.3, 1.5, 2.0, 3.0) if each * deviation < math.pi]
    offsets += [math.pi - 1e-3] * (concentration < 10.0)
    exact = torch.tensor([quantile_slope(offset, concentration) for offset in offsets], dtype=dtype)
    loc = torch.tensor(2.9, dtype=dtype, requires_grad=True)
    k = torch.full((2, len(offsets)), concentration, dtype=dtype, requires_grad=True)
    q = VonMises(loc, k, validate_args=False)
    x = torch.tensor(offsets, dtype=dtype)
    q.sample = lambda _: torch.remainder(torch.stack([x, -x]) + 2.9 + math.pi, 2.0 * math.pi) - math.pi
    by_loc, by_concentration = torch.autograd.grad(q.rsample().sum(), (loc, k))
    assert by_loc == 2 * len(offsets)
    # Angles next to 0 and to pi have lost digits when they were stored beside loc.
    floor = 4e-6 if dtype == torch.float32 else 1e-14
    scale = exact.abs().max().item() / deviation
    torch.testing.assert_close(by_concentration, torch.stack([exact, -exact]), rtol=rtol, atol=floor * scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_von_mises_samples_have_its_trigonometric_moments(concentration, dtype):
    loc = torch.full((400_000,), -2.8, dtype=dtype)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        z = von_mises(loc.unsqueeze(-1), torch.full_like(loc, concentration).unsqueeze(-1)).rsample().squeeze(-1)
    assert z.dtype == dtype
    assert z.abs().max() <= math.pi + 1e-6
    for order in (1, 2, 3, 20, 40):
        wave = torch.stack([(order * (z.double() + 2.8)).cos(), (order * (z.double() + 2.8)).sin()], -1)
        drawn = Draws(wave.mean(0), wave.std(0) / len(z) ** 0.5)
        exact = torch.tensor([special.ive(order, concentration) / special.ive(0, concentration), 0.0])
        assert drawn.z_scores(exact.double()).max() < LIMIT


@pytest.mark.parametrize("concentration", CONCENTRATIONS)
def test_von_mises_density_integrates_to_one(concentration):
    circle = torch.arange(4_000, dtype=torch.float64) * (2.0 * math.pi / 4_000)
    q = VonMises(torch.tensor(0.4), torch.tensor(concentration, dtype=torch.float64), validate_args=False)
    assert q.log_prob(circle).exp().mean() * 2.0 * math.pi == pytest.approx(1.0, rel=1e-12)


def test_von_mises_expands_to_itself():
    q = VonMises(torch.tensor(0.4), torch.tensor(2.0), validate_args=False).expand((3, 2))
    assert type(q) is VonMises
    assert q.rsample((5,)).shape == (5, 3, 2)


# ---------------------------------------------------------------------------------------------------- sticking landings


def at(make, shape):
    """A distribution from positive numbers, with them."""
    numbers = torch.linspace(0.6, 3.1, math.prod(shape), dtype=torch.float64).reshape(shape)
    numbers = numbers.expand(50, *shape).clone().requires_grad_()
    return numbers, make(numbers)


QS = {
    "Normal": lambda: at(lambda p: normal(p[:, 0], p[:, 1]), (2, 3)),
    "Gamma": lambda: at(lambda p: gamma(p[:, 0], p[:, 1]), (2, 3)),
    "Beta": lambda: at(lambda p: beta(p[:, 0], p[:, 1]), (2, 3)),
    "Dirichlet": lambda: at(dirichlet, (2, 3)),
    "VonMises": lambda: at(lambda p: von_mises(p[:, 0], p[:, 1]), (2, 3)),
}


@pytest.mark.parametrize("bound", [None, LogMeanExp()], ids=["Average", "LogMeanExp"])
@pytest.mark.parametrize("make", QS.values(), ids=QS)
def test_landing_on_the_posterior_makes_no_noise(make, bound):
    numbers, q = make()
    posterior = frozen(q)
    given = {} if bound is None else {"bound": bound}
    target = Expectation(q=q, f=lambda z, q: posterior.log_prob(z) - q.log_prob(z) - 1.3, **given)
    landed, plain = (
        torch.autograd.grad(estimator(target).objective.sum(), numbers)[0]
        for estimator in (StickTheLanding(num_samples=2), Pathwise(num_samples=2))
    )
    assert plain.abs().max() > 0.1
    assert landed.abs().max() < 1e-12


def test_one_sample_of_the_importance_weighted_bound_is_the_average():
    numbers, q = QS["VonMises"]()
    z = q.rsample((1,))
    gradients = []
    for bound in ({}, {"bound": LogMeanExp()}):
        estimator = StickTheLanding()
        estimator.draw = lambda _: 1.0 * z  # a tensor of its own: the estimator hooks into its gradient
        target = Expectation(q=q, f=lambda z, q: (2.0 * z).cos().sum(-1) - q.log_prob(z), **bound)
        gradients.append(torch.autograd.grad(estimator(target).objective.sum(), numbers, retain_graph=True)[0])
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)
