"""Every estimator on every fitting problem: value, phi-gradient and theta-gradient against exact numbers."""

import functools
import inspect

import pytest
import torch
from tests.estimators.cases import CASES, ROWS, Case
from tests.statistics import LIMIT, measure

import reparam_suite.estimators as library
from reparam_suite.distributions import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    family,
    gamma,
    multivariate_normal,
    normal,
    von_mises,
)
from reparam_suite.estimators import Expectation, GradientEstimator


@functools.cache
def exact(problem):
    phi, theta = problem.phi, problem.theta
    by_phi, by_theta = problem.exact_gradient().split([len(phi), len(theta)])
    return {"value": problem.exact_value(phi, theta), "phi": by_phi, "theta": by_theta}


@pytest.fixture(scope="module", params=CASES, ids=str)
def measured(request):
    case: Case = request.param
    return case, measure(case.estimator, case.problem), exact(case.problem)


def test_value_is_the_bound(measured):
    case, drawn, exact = measured
    worst = drawn.value.z_scores(exact["value"]).item()
    assert (worst < LIMIT) == (not case.estimator.relaxed), f"{case}: value |z| = {worst:.1f}"


def test_gradient_has_the_declared_bias(measured):
    case, drawn, exact = measured
    biased = {"phi": case.row.biased_phi, "theta": case.row.biased_theta}
    assert case.estimator.unbiased == (not any(biased.values()))
    for block, is_biased in biased.items():
        worst = getattr(drawn, block).z_scores(exact[block]).max().item()
        assert (worst < LIMIT) == (not is_biased), f"{case}: {block} |z| = {worst:.1f}"


def test_an_error_of_three_percent_would_fail(measured):
    case, drawn, exact = measured
    for block in ("value", "phi", "theta"):
        worst = getattr(drawn, block).scaled(1.03).z_scores(exact[block]).max().item()
        assert worst > LIMIT, f"{case}: {block} |z| = {worst:.1f} with a planted error"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_evaluations_are_what_is_handed_to_f(case):
    handed = []
    problem, estimator = case.problem, case.estimator
    target = problem.expectation(problem.phi.expand(5, -1).clone().requires_grad_(), problem.theta.expand(5, -1))

    def counting(z, q):
        handed.append(z.shape[: z.dim() - len(q.event_shape)].numel())
        return target.f(z, q)

    estimator(Expectation(q=target.q, f=counting, bound=target.bound, context=target.context))
    assert sum(handed) == 5 * estimator.evaluations(target.q)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_datum_has_its_own_estimate(case):
    problem, estimator = case.problem, case.estimator
    phi = problem.phi.expand(2, 3, -1).clone().requires_grad_()
    theta = problem.theta.expand(2, 3, -1).clone().requires_grad_()
    objective = estimator(problem.expectation(phi, theta)).objective
    assert objective.shape == (2, 3)
    gradient = torch.cat(torch.autograd.grad(objective[1, 2], (phi, theta)), -1)
    assert gradient[1, 2].abs().max() > 0
    gradient[1, 2] = 0
    assert gradient.abs().max() == 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_dtype_is_that_of_the_parameters(case):
    problem = case.problem
    phi = problem.phi.float().expand(7, -1).clone().requires_grad_()
    theta = problem.theta.float().expand(7, -1).clone().requires_grad_()
    estimator = case.estimator.float()
    objective = estimator(problem.expectation(phi, theta)).objective
    gradient = torch.autograd.grad(objective.sum(), phi)[0]
    assert objective.dtype == gradient.dtype == torch.float32


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(Case(row, row.problems[0])))
def test_an_f_that_does_not_look_at_z_is_as_good_as_any(row):
    estimator, problem = row.make().double(), row.problems[0]
    target = problem.expectation(problem.phi.expand(6, -1).clone().requires_grad_(), problem.theta.expand(6, -1))
    level = torch.arange(6.0, dtype=torch.float64).requires_grad_()

    def f(z, q):
        return level.expand(z.shape[: z.dim() - len(q.event_shape)])

    objective = estimator(Expectation(q=target.q, f=f, bound=target.bound, context=target.context)).objective
    torch.testing.assert_close(objective, level)
    torch.testing.assert_close(torch.autograd.grad(objective.sum(), level)[0], torch.ones_like(level))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(Case(row, row.problems[0])))
def test_control_loss_reaches_its_own_parameters_only(row):
    estimator, problem = row.make(), row.problems[0]
    phi = problem.phi.expand(6, -1).clone().requires_grad_()
    theta = problem.theta.expand(6, -1).clone().requires_grad_()
    estimator.double()
    estimate = estimator(problem.expectation(phi, theta))
    assert estimate.control_loss.shape == ()
    assert estimate.control_loss.item() == 0.0
    own = list(estimator.parameters())
    assert estimate.control_loss.requires_grad == bool(own)
    if own:
        reached = torch.autograd.grad(estimate.control_loss, [*own, phi, theta], retain_graph=True, allow_unused=True)
        assert all(gradient is not None and gradient.abs().max() > 0 for gradient in reached[: len(own)])
        assert reached[len(own) :] == (None, None)
        leaked = torch.autograd.grad(estimate.objective.sum(), own, allow_unused=True)
        assert all(gradient is None for gradient in leaked)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(Case(row, row.problems[0])))
def test_state_stands_still_in_eval_mode(row):
    estimator, problem = row.make().double(), row.problems[0]
    target = problem.expectation(problem.phi.expand(6, -1), problem.theta.expand(6, -1))
    estimator(target)  # materialises lazy layers and moves what moves in training
    estimator.eval()
    before = {name: value.clone() for name, value in estimator.state_dict().items()}
    estimator(target)
    assert all(torch.equal(before[name], value) for name, value in estimator.state_dict().items())


def public_estimators():
    return [
        cls
        for cls in vars(library).values()
        if inspect.isclass(cls) and issubclass(cls, GradientEstimator) and not inspect.isabstract(cls)
    ]


def one_of_each_family():
    """The suite's families, two data each; small, so that estimators with a limit take them."""
    return [
        normal(torch.zeros(2, 3), torch.ones(2, 3)),
        multivariate_normal(torch.zeros(2, 3), torch.eye(3).expand(2, 3, 3)),
        bernoulli(torch.zeros(2, 3)),
        categorical(torch.zeros(2, 2, 3)),
        gamma(torch.ones(2, 3), torch.ones(2, 3)),
        beta(torch.ones(2, 3), torch.ones(2, 3)),
        dirichlet(torch.ones(2, 2, 3)),
        von_mises(torch.zeros(2, 3), torch.ones(2, 3)),
    ]


@pytest.mark.parametrize("cls", public_estimators(), ids=lambda cls: cls.__name__)
def test_every_estimator_stands_in_the_table(cls):
    made = [row for row in ROWS if type(row.make()) is cls]
    families = {family(problem.q(problem.phi)) for row in made for problem in row.problems}
    bounds = {type(problem.bound) for row in made for problem in row.problems}
    assert families == {family(q) for q in one_of_each_family() if cls().fits(q) is None}, "a family has no case"
    assert bounds == set(cls.bounds), "a bound has no case"


@pytest.mark.parametrize("cls", public_estimators(), ids=lambda cls: cls.__name__)
def test_every_estimator_declares_itself(cls):
    assert getattr(cls, "__final__", False)
    assert isinstance(cls().unbiased, bool)
    assert isinstance(cls.relaxed, bool)
    assert isinstance(cls.differentiates_f, bool)
    parameters = inspect.signature(cls).parameters.values()
    assert all(
        parameter.kind is parameter.KEYWORD_ONLY and parameter.default is not parameter.empty
        for parameter in parameters
    )
    assert all(hasattr(cls(), parameter.name) for parameter in parameters), "an argument is not kept as an attribute"
    plain = [parameter for parameter in parameters if isinstance(parameter.default, bool | int | float | str)]
    # A checkpoint is written from the attributes: a learned value has another name.
    assert all(getattr(cls(), argument.name) is argument.default for argument in plain), (
        "an argument is not kept as it was given"
    )
    assert "arXiv" in cls.__doc__ or "(19" in cls.__doc__ or cls.__name__ == "Enumeration", "no source"
