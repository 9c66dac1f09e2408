"""The von Mises distribution: its density, its samples, and the gradient that they carry."""

import math

import mpmath
import pytest
import torch
from scipy import special
from tests.statistics import LIMIT, SEED, Draws

from reparam_suite.distributions import VonMises, von_mises

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
    offsets = [factor * deviation for factor in (1e-3, 0.2, 0.9, 1.3, 1.5, 2.0, 3.0) if factor * deviation < math.pi]
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
