"""The exact numbers of the problems, found again by roads that share nothing with them."""

import pytest
import torch
from tests.problems.exact import value
from tests.statistics import LIMIT, SEED

from reparam_suite.estimators import Average, LogMeanExp
from reparam_suite.problems import (
    BernoulliModel,
    CategoricalModel,
    FullGaussianModel,
    GaussianModel,
    Problem,
    VonMisesModel,
)
from reparam_suite.problems.catalogue import PROBLEMS

IMPORTANCE_WEIGHTED: list[Problem] = [
    BernoulliModel(bound=LogMeanExp(), num_samples=3),
    CategoricalModel(bound=LogMeanExp(), num_samples=2),
    GaussianModel(bound=LogMeanExp(), num_samples=2),
    FullGaussianModel(bound=LogMeanExp(), num_samples=2),
    VonMisesModel(bound=LogMeanExp(), num_samples=2),
]
ALL = [*[make() for make in PROBLEMS], *IMPORTANCE_WEIGHTED]


def with_few_nodes(problem: Problem) -> Problem:
    """The same problem with a coarse quadrature: quick, and exact enough for what is asked of it."""
    problem.num_nodes = 12
    return problem


QUICK = [*[make() for make in PROBLEMS], *IMPORTANCE_WEIGHTED[:2]]
QUICK += [with_few_nodes(make(bound=LogMeanExp(), num_samples=2)) for make in (GaussianModel, FullGaussianModel)]


@pytest.mark.parametrize("problem", ALL, ids=str)
def test_the_value_is_the_mean_of_many_draws(problem):
    num_samples = 1 if isinstance(problem.bound, Average) else problem.num_samples
    num_draws = 400_000
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        z = problem.q(problem.phi).sample((num_samples, num_draws))
    f = problem.integrand(problem.theta)(z, problem.q(problem.phi))
    assert f.shape == (num_samples, num_draws)
    drawn = f.squeeze(0) if num_samples == 1 else f.logsumexp(0) - torch.tensor(float(num_samples)).log()
    standard_error = drawn.std() / num_draws**0.5
    exact = value(problem)
    assert LIMIT * standard_error < 0.03 * exact.abs(), "an error of 3 % would be seen"
    assert (drawn.mean() - exact).abs() < LIMIT * standard_error


@pytest.mark.parametrize("problem", QUICK, ids=str)
def test_the_gradient_is_that_of_finite_differences(problem):
    exact = problem.exact_gradient()
    point = torch.cat([problem.phi, problem.theta])
    step = 1e-5
    for i in range(len(point)):
        ends = []
        for sign in (1, -1):
            moved = point.clone()
            moved[i] += sign * step
            ends.append(problem.exact_value(*moved.split([len(problem.phi), len(problem.theta)])))
        assert (ends[0] - ends[1]).item() / (2 * step) == pytest.approx(exact[i].item(), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("problem", QUICK, ids=str)
def test_no_symmetry_makes_a_gradient_vanish(problem):
    """Else an estimator would be right by luck."""
    gradient = problem.exact_gradient()
    assert gradient.abs().min() > 1e-3 * gradient.abs().max()
