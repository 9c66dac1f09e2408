"""Gauss-Hermite quadrature: exact on polynomials, in up to three latents, and refused beyond."""

import math

import pytest
import torch

from reparam_suite.distributions import multivariate_normal, normal
from reparam_suite.estimators import Expectation, LogMeanExp, Quadrature
from reparam_suite.problems import GaussianModel


@pytest.mark.parametrize("num_nodes", [1, 2, 5, 20])
def test_polynomials_below_twice_the_nodes_are_exact(num_nodes):
    loc = torch.tensor([[0.7], [-1.2]], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([[0.5], [1.3]], dtype=torch.float64, requires_grad=True)
    degree = min(2 * num_nodes - 1, 9)
    objective = Quadrature(num_nodes=num_nodes)(
        Expectation(q=normal(loc, scale), f=lambda z, _: z.squeeze(-1) ** degree)
    ).objective
    # E (m + s e)^n = sum_j binomial(n, 2j) m^(n - 2j) s^(2j) (2j - 1)!!
    terms = [
        math.comb(degree, 2 * j) * loc ** (degree - 2 * j) * scale ** (2 * j) * math.prod(range(1, 2 * j, 2))
        for j in range(degree // 2 + 1)
    ]
    exact = torch.stack(terms).sum(0).squeeze(-1)
    torch.testing.assert_close(objective, exact, rtol=1e-12, atol=1e-12)
    for mine, other in zip(
        torch.autograd.grad(objective.sum(), (loc, scale)), torch.autograd.grad(exact.sum(), (loc, scale)), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-11, atol=1e-12)


def test_a_polynomial_beyond_is_not():
    q = normal(torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64))
    objective = Quadrature(num_nodes=2)(Expectation(q=q, f=lambda z, _: z.squeeze(-1) ** 4)).objective
    assert abs(objective.item() - 3.0) > 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_three_correlated_latents(dtype):
    loc = torch.tensor([0.3, -0.7, 0.2], dtype=dtype)
    scale_tril = torch.tensor([[0.8, 0.0, 0.0], [0.3, 0.5, 0.0], [-0.4, 0.2, 0.9]], dtype=dtype, requires_grad=True)
    wave = torch.tensor([0.5, -0.6, 0.4], dtype=dtype)
    q = multivariate_normal(loc, scale_tril)
    objective = Quadrature(num_nodes=12)(Expectation(q=q, f=lambda z, _: (z @ wave).exp())).objective
    exact = (wave @ loc + 0.5 * (scale_tril.T @ wave).square().sum()).exp()
    torch.testing.assert_close(objective, exact)
    mine, other = (torch.autograd.grad(value, scale_tril)[0].tril() for value in (objective, exact))
    torch.testing.assert_close(mine, other)


def test_evaluations_grow_with_the_latents():
    q = normal(torch.zeros(3), torch.ones(3))
    assert Quadrature(num_nodes=4).evaluations(q) == 64


def test_more_than_three_latents_are_refused():
    q = normal(torch.zeros(4), torch.ones(4))
    with pytest.raises(ValueError, match="Quadrature: expected at most 3 latents, got 4"):
        Quadrature()(Expectation(q=q, f=lambda z, _: z.sum(-1)))


def test_no_nodes_are_refused():
    with pytest.raises(ValueError, match="num_nodes of Quadrature: expected an integer of at least 1, got 0"):
        Quadrature(num_nodes=0)


def test_the_importance_weighted_bound_is_refused():
    problem = GaussianModel(bound=LogMeanExp())
    with pytest.raises(ValueError, match="Quadrature: expected the bound Average, got LogMeanExp"):
        Quadrature()(problem.expectation(problem.phi, problem.theta))
