"""The exact numbers of the problems, found again by roads that share nothing with them."""

import pytest
import torch
from tests.statistics import LIMIT, SEED

from reparam_suite.estimators import Average, LogMeanExp
from reparam_suite.problems import (
    BernoulliCurved,
    BernoulliModel,
    BetaModel,
    CategoricalCurved,
    CategoricalModel,
    DirichletModel,
    FullGaussianModel,
    FullGaussianQuadratic,
    FullGaussianWave,
    GammaModel,
    GaussianModel,
    GaussianQuadratic,
    GaussianWave,
    Problem,
    ToyGaussian,
    VonMisesModel,
)

DISCRETE: list[Problem] = [BernoulliCurved(), CategoricalCurved(), BernoulliModel(), CategoricalModel()]
TWO_NORMALS: list[Problem] = [
    GaussianQuadratic(),
    GaussianWave(),
    GaussianModel(),
    FullGaussianQuadratic(),
    FullGaussianWave(),
    FullGaussianModel(),
]
IMPLICIT: list[Problem] = [GammaModel(), BetaModel(), DirichletModel(), VonMisesModel()]
IMPORTANCE_WEIGHTED: list[Problem] = [
    BernoulliModel(bound=LogMeanExp(), num_samples=3),
    CategoricalModel(bound=LogMeanExp(), num_samples=2),
    GaussianModel(bound=LogMeanExp(), num_samples=2),
    FullGaussianModel(bound=LogMeanExp(), num_samples=2),
    VonMisesModel(bound=LogMeanExp(), num_samples=2),
]
ALL = [*DISCRETE, *TWO_NORMALS, ToyGaussian(), *IMPLICIT, *IMPORTANCE_WEIGHTED]


def with_few_nodes(problem: Problem) -> Problem:
    """The same problem with a coarse quadrature: quick, and exact enough for what is asked of it."""
    problem.num_nodes = 12
    return problem


QUICK = [*DISCRETE, *TWO_NORMALS, ToyGaussian(), *IMPLICIT, *IMPORTANCE_WEIGHTED[:2]]
QUICK += [with_few_nodes(each(bound=LogMeanExp(), num_samples=2)) for each in (GaussianModel, FullGaussianModel)]


def value(problem: Problem) -> torch.Tensor:
    return problem.exact_value(problem.phi, problem.theta)


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


@pytest.mark.parametrize("problem", [*TWO_NORMALS, GaussianModel()], ids=str)
def test_the_value_of_two_normals_is_that_of_a_dense_grid(problem):
    q = problem.q(problem.phi)
    axis = torch.linspace(-12.0, 12.0, 961, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    mass = q.log_prob(z).exp() * (axis[1] - axis[0]) ** 2
    assert mass.sum() == pytest.approx(1.0, abs=1e-12)
    on_the_grid = (mass * problem.integrand(problem.theta)(z.unsqueeze(0), q).squeeze(0)).sum()
    assert on_the_grid == pytest.approx(value(problem).item(), abs=1e-10)


@pytest.mark.parametrize("problem", DISCRETE, ids=str)
def test_the_value_of_discrete_latents_is_that_of_their_states_at_once(problem):
    q = problem.q(problem.phi)
    corners = torch.tensor(problem.values_of_a_latent(), dtype=torch.float64)
    states = torch.cartesian_prod(*[torch.arange(len(corners))] * problem.num_latents)
    z = corners[states].reshape(len(states), *q.event_shape)
    weight = q.log_prob(z).exp()
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    at_once = (weight * problem.integrand(problem.theta)(z, q)).sum()
    assert at_once == pytest.approx(value(problem).item(), abs=1e-12)


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


def test_the_nodes_on_the_circle_are_enough():
    for as_it_is, denser in (
        (VonMisesModel(), VonMisesModel()),
        (VonMisesModel(bound=LogMeanExp(), num_samples=2), VonMisesModel(bound=LogMeanExp(), num_samples=2)),
    ):
        denser.num_nodes = as_it_is.num_nodes + 6
        assert value(as_it_is).item() == pytest.approx(value(denser).item(), abs=1e-11)


@pytest.mark.parametrize("problem", [GaussianModel, FullGaussianModel])
def test_the_nodes_of_the_quadrature_are_enough(problem):
    as_it_is, denser = problem(), problem()
    denser.num_nodes = 2 * as_it_is.num_nodes
    assert value(as_it_is).item() == pytest.approx(value(denser).item(), abs=1e-12)
    as_it_is, coarser = (problem(bound=LogMeanExp(), num_samples=2) for _ in range(2))
    coarser.num_nodes = 28
    assert value(as_it_is).item() == pytest.approx(value(coarser).item(), abs=1e-6)


def test_more_samples_make_the_bound_tighter():
    values = [value(BernoulliModel(bound=LogMeanExp(), num_samples=k)).item() for k in (1, 2, 3)]
    assert values[0] == pytest.approx(value(BernoulliModel()).item(), abs=1e-12), "one sample is the evidence bound"
    assert values[0] < values[1] - 0.01 < values[2] - 0.01


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


@pytest.mark.parametrize("problem", QUICK, ids=str)
def test_no_symmetry_makes_a_gradient_vanish(problem):
    """Else an estimator would be right by luck."""
    gradient = problem.exact_gradient()
    assert gradient.abs().min() > 1e-3 * gradient.abs().max()
