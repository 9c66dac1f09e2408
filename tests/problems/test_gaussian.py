"""Problems over normal latents against a dense grid, a denser quadrature, and many draws."""

import pytest
import torch
from tests.problems.exact import value
from tests.statistics import LIMIT, SEED

from reparam_suite.estimators import LogMeanExp
from reparam_suite.problems import (
    FullGaussianModel,
    GaussianModel,
    ToyGaussian,
)
from reparam_suite.problems.catalogue import FULL_NORMAL, NORMAL

TWO_NORMALS = [make() for make in (*NORMAL, *FULL_NORMAL) if make is not ToyGaussian]


@pytest.mark.parametrize("problem", [*TWO_NORMALS, GaussianModel()], ids=str)
def test_the_value_of_two_normals_is_that_of_a_dense_grid(problem):
    q = problem.q(problem.phi)
    axis = torch.linspace(-12.0, 12.0, 961, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    mass = q.log_prob(z).exp() * (axis[1] - axis[0]) ** 2
    assert mass.sum() == pytest.approx(1.0, abs=1e-12)
    on_the_grid = (mass * problem.integrand(problem.theta)(z.unsqueeze(0), q).squeeze(0)).sum()
    assert on_the_grid == pytest.approx(value(problem).item(), abs=1e-10)


@pytest.mark.parametrize("problem", [GaussianModel, FullGaussianModel])
def test_the_nodes_of_the_quadrature_are_enough(problem):
    as_it_is, denser = problem(), problem()
    denser.num_nodes = 2 * as_it_is.num_nodes
    assert value(as_it_is).item() == pytest.approx(value(denser).item(), abs=1e-12)
    as_it_is, coarser = (problem(bound=LogMeanExp(), num_samples=2) for _ in range(2))
    coarser.num_nodes = 28
    assert value(as_it_is).item() == pytest.approx(value(coarser).item(), abs=1e-6)


def test_the_variances_of_the_toy_problem_are_those_of_many_draws():
    toy = ToyGaussian()
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        z = toy.phi + torch.randn(2_000_000, dtype=torch.float64)
    for drawn, variance in [
        (z.square() * (z - toy.phi), toy.variance_of_score_function()),
        (2 * z, toy.variance_of_pathwise()),
    ]:
        squares = (drawn - drawn.mean()).square()
        standard_error = squares.std() / len(z) ** 0.5
        assert standard_error < 0.01 * variance
        assert (squares.mean() - variance).abs() < LIMIT * standard_error
    assert toy.variance_of_score_function() == 87.0
