"""The checks of each call: event axes, shapes of f, bounds; and PyTorch's own distributions, which are taken."""

import inspect
from types import SimpleNamespace

import pytest
import torch
import torch.distributions as td
from tests.estimators.cases import ROWS, Case

import reparam_suite.estimators as library
from reparam_suite.distributions import bernoulli, categorical, normal
from reparam_suite.estimators import (
    DisARM,
    Enumeration,
    Expectation,
    GradientEstimator,
    LeaveOneOut,
    LogMeanExp,
    MeasureValued,
    Pathwise,
    ScoreFunction,
)

SCORE = [ScoreFunction(), ScoreFunction(num_samples=2, baseline=LeaveOneOut())]


@pytest.mark.parametrize("estimator", [*SCORE, Enumeration(), DisARM()], ids=lambda estimator: type(estimator).__name__)
@pytest.mark.parametrize("batch", [(100, 8), (8, 8), (1, 8), (8,)])
def test_a_q_without_event_axes_is_refused_with_the_mend(estimator, batch):
    q = td.Bernoulli(logits=torch.zeros(batch, requires_grad=True))
    message = (
        rf"{type(estimator).__name__}: q has batch_shape \[{', '.join(map(str, batch))}\] and no event axes: wrap it "
    )
    with pytest.raises(ValueError, match=message + r"in torch.distributions.Independent\(q, 1\)"):
        estimator(Expectation(q=q, f=lambda z, _: z.sum(-1)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(Case(row, row.problems[0])))
@pytest.mark.parametrize("wrong", ["a factor's", "one for all data", "summed over samples"])
def test_an_f_of_another_shape_is_refused_with_both_shapes(row, wrong):
    estimator, problem = row.make().double(), row.problems[0]
    phi = problem.phi.expand(7, -1).clone().requires_grad_()
    target = problem.expectation(phi, problem.theta.expand(7, -1))

    def f(z, q):
        values = target.f(z, q)
        if wrong == "a factor's":
            return values.unsqueeze(-1).expand(*values.shape, 3)
        return values.mean(-1, keepdim=True) if wrong == "one for all data" else values.mean(0)

    with pytest.raises(ValueError, match=r"f of \d+ samples z \[.*\]: expected .* = \[\d+, 7\], got \[.*\]") as refused:
        estimator(Expectation(q=target.q, f=f, bound=target.bound, context=target.context))
    assert str(refused.value).startswith(type(estimator).__name__)


def test_the_message_names_both_sides():
    q = normal(torch.zeros(5, 3), torch.ones(5, 3))
    with pytest.raises(
        ValueError,
        match=r"Pathwise: f of 2 samples z \[2, 5, 3\]: expected values \[K, \*batch_shape\] = \[2, 5\], got \[2, 5",
    ):
        Pathwise(num_samples=2)(Expectation(q=q, f=lambda z, _: z))


def test_a_closed_form_term_that_does_not_fit_is_refused():
    q = normal(torch.zeros(5, 3), torch.ones(5, 3))
    target = Expectation(q=q, f=lambda z, _: z.sum(-1), bound=LogMeanExp(), exact=torch.zeros(5))
    with pytest.raises(
        ValueError, match="LogMeanExp: expected all of log q inside f, a sampled KL, got an analytic one"
    ):
        Pathwise(num_samples=2)(target)


@pytest.mark.parametrize("shape", [(5, 1), (), (1,)])
def test_a_closed_form_term_that_would_broadcast_is_refused_where_it_is_given(shape):
    q = normal(torch.zeros(5, 3), torch.ones(5, 3))
    message = rf"^exact: expected shape \[\*batch_shape\] = \[5\], got \[{', '.join(map(str, shape))}\]$"
    with pytest.raises(ValueError, match=message):
        Expectation(q=q, f=lambda z, _: z.sum(-1), exact=torch.zeros(shape))


def test_a_closed_form_term_that_is_no_tensor_is_refused():
    """Asked of the check alone: the tests' own check of types would come before it."""
    given = SimpleNamespace(q=normal(torch.zeros(5, 3), torch.ones(5, 3)), exact=-0.5)
    with pytest.raises(TypeError, match=r"^exact: expected shape \[\*batch_shape\] = \[5\], got float$"):
        Expectation.__post_init__(given)


@pytest.mark.parametrize("event", [(), (2, 3)])
def test_estimators_of_one_family_take_latents_in_one_axis(event):
    logits = torch.zeros(5, 4, 2, 3)
    q = td.Independent(td.Bernoulli(logits=logits), max(len(event), 1))
    if event:
        with pytest.raises(
            ValueError, match=r"DisARM: expected .* event_shape \[D\], got Bernoulli of event_shape \[2, 3\]"
        ):
            DisARM()(Expectation(q=q, f=lambda z, _: z.sum((-2, -1))))
    else:
        assert DisARM()(Expectation(q=q, f=lambda z, _: z.sum(-1))).objective.shape == (5, 4, 2)
    # The score function has no such limit.
    f = lambda z, _: z.flatten(4 - max(len(event), 1) + 1).sum(-1)  # noqa: E731
    assert ScoreFunction()(Expectation(q=q, f=f)).objective.shape == q.batch_shape
    assert MeasureValued().fits(q) is None or event


PAIRS = {
    "one-hot logits": (lambda phi: td.Independent(td.OneHotCategorical(logits=phi), 1), categorical),
    "one-hot probs": (lambda phi: td.Independent(td.OneHotCategorical(probs=phi.softmax(-1)), 1), categorical),
    "straight-through": (lambda phi: td.Independent(td.OneHotCategoricalStraightThrough(logits=phi), 1), categorical),
    "bits": (lambda phi: td.Independent(td.Bernoulli(logits=phi), 1), bernoulli),
    "bits probs": (lambda phi: td.Independent(td.Bernoulli(probs=phi.sigmoid()), 1), bernoulli),
}


def estimators_of(q):
    made = [cls for cls in vars(library).values() if inspect.isclass(cls) and issubclass(cls, GradientEstimator)]
    return [cls() for cls in made if not inspect.isabstract(cls) and cls().fits(q) is None]


@pytest.mark.parametrize("name", PAIRS)
def test_pytorchs_discrete_latents_give_the_gradient_that_ours_give(name):
    theirs, ours = PAIRS[name]
    logits = torch.linspace(-1.2, 1.5, 30, dtype=torch.float64)
    logits = logits.reshape(5, 6) if ours is bernoulli else logits.reshape(5, 2, 3)
    fitting = estimators_of(ours(logits))
    assert len(fitting) > 15
    assert {type(estimator) for estimator in fitting} == {
        type(estimator) for estimator in estimators_of(theirs(logits))
    }

    def f(z, q):
        return (z.flatten(len(z.shape) - len(q.event_shape)).cumsum(-1) * 0.3).sin().sum(-1) - q.log_prob(z)

    for estimator in fitting:
        results = []
        for make in (theirs, ours):
            phi = logits.clone().requires_grad_()
            with torch.random.fork_rng():
                torch.manual_seed(3)
                made = type(estimator)().double()
                context = torch.zeros(5, 1, dtype=torch.float64)
                objective = made(Expectation(q=make(phi), f=f, context=context)).objective
            results.append((objective.detach(), torch.autograd.grad(objective.sum(), phi)[0]))
        torch.testing.assert_close(
            results[0], results[1], rtol=1e-9, atol=1e-11, msg=f"{name}: {type(estimator).__name__}"
        )


def test_forward_is_final():
    assert GradientEstimator.forward.__final__
