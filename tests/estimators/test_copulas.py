"""Copulas: uniform margins, and the overlap that each states."""

import pytest
import torch
from tests.estimators.draws import (
    name_of,
)
from tests.statistics import LIMIT, SEED

from reparam_suite.estimators import (
    DirichletCopula,
    GaussianCopula,
)

COPULAS = [DirichletCopula(), GaussianCopula()]


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
def test_two_coupled_uniforms_are_an_antithetic_pair(copula):
    u = copula.draw(2, torch.zeros(10_000, dtype=torch.float64)).exp()
    torch.testing.assert_close(u.sum(0), torch.ones(10_000, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
@pytest.mark.parametrize("num_samples", [2, 3, 8])
@pytest.mark.parametrize("m", [0.5, 0.45, 0.2, 0.1])
def test_copula_has_uniform_margins_and_the_stated_overlap(copula, num_samples, m):
    torch.manual_seed(SEED)
    m = torch.tensor(m, dtype=torch.float64)
    number = (copula.draw(num_samples, torch.zeros(400_000, dtype=torch.float64)) < m.log()).double().sum(0)
    single, both = number / num_samples, number * (number - 1) / (num_samples * (num_samples - 1))
    overlap = copula.overlap(m.log(), num_samples)
    assert 0.0 <= overlap < m
    for drawn, exact in ((single, m), (both, m * overlap)):
        standard_error = (drawn.std() / len(drawn) ** 0.5).clamp_min(1e-12)
        assert (drawn.mean() - exact).abs() / standard_error < LIMIT


@pytest.mark.parametrize("num_samples", [3, 4, 64])
def test_overlap_of_normals_is_the_integral_of_their_density(num_samples):
    # P(x < h, y < h) = int_0^m P(y < h | Phi(x) = u) du by the midpoint rule; given x, y is N(r x, 1 - r^2).
    m = torch.tensor([[0.5], [0.3], [1e-3]], dtype=torch.float64)
    h, r = torch.special.ndtri(m), -1.0 / (num_samples - 1)
    x = torch.special.ndtri(m * (torch.arange(100_000) + 0.5) / 100_000)
    overlap = torch.special.ndtr((h - r * x) / (1.0 - r**2) ** 0.5).mean(-1, keepdim=True)
    torch.testing.assert_close(GaussianCopula().overlap(m.log(), num_samples), overlap, rtol=1e-6, atol=0)
