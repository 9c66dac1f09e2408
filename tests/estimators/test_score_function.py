"""The score function and MuProp: closed forms, extreme logits, and bad input."""

import pytest
import torch
from tests.statistics import LIMIT, SEED, Draws, draw_once

from reparam_suite.distributions import bernoulli, categorical, multivariate_normal, normal
from reparam_suite.estimators import (
    Expectation,
    LeaveOneOut,
    LogMeanExp,
    MovingAverage,
    MuProp,
    NoBaseline,
    ScoreFunction,
)
from reparam_suite.problems import BernoulliCurved, GaussianQuadratic, ToyGaussian


def gradients(estimator, problem, num_replicates=400_000, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return draw_once(estimator, problem, num_replicates, dtype)


def test_variance_of_muprop_is_that_of_the_residual():
    # z^2 less its tangent at m is e^2 with e = z - m; times the score e, and 2 m added: Var e^3 = 15.
    _, by_phi, _ = gradients(MuProp(), ToyGaussian())
    assert by_phi.var().item() == pytest.approx(15.0, rel=0.05)


FAMILIES = {
    "normal": lambda p: normal(p[..., :3], p[..., 3:].exp()),
    "full": lambda p: multivariate_normal(p[..., :2], torch.diag_embed(p[..., 2:4].exp())),
    "bernoulli": bernoulli,
    "categorical": lambda p: categorical(p.unflatten(-1, (2, 3))),
}


@pytest.mark.parametrize("baseline", [NoBaseline, LeaveOneOut], ids=lambda baseline: baseline.__name__)
@pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)
def test_muprop_has_no_noise_on_a_linear_f(make, baseline):
    phi = torch.tensor([0.4, -0.7, 1.1, 0.2, -0.3, 0.6], dtype=torch.float64).expand(50, -1).clone().requires_grad_()
    q = make(phi)
    weights = torch.linspace(-1.0, 2.0, q.event_shape.numel(), dtype=torch.float64)

    def f(z, _):
        return (weights * z.flatten(-len(q.event_shape))).sum(-1) + 3.0

    target = Expectation(q=q, f=f)
    (gradient,) = torch.autograd.grad(MuProp(num_samples=2, baseline=baseline())(target).objective.sum(), phi)
    (exact,) = torch.autograd.grad(f(make(phi).mean.unsqueeze(0), q).sum(), phi)
    assert exact.abs().max() > 0.1
    torch.testing.assert_close(gradient, exact, rtol=1e-10, atol=1e-10)


def test_muprop_is_the_score_function_of_the_residual():
    problem = GaussianQuadratic()
    phi = problem.phi.expand(7, -1).clone().requires_grad_()
    theta = problem.theta.expand(7, -1)
    target = problem.expectation(phi, theta)
    z = target.q.sample((3,))
    estimator = MuProp(num_samples=3)
    estimator.draw = lambda q: z
    loc = target.q.mean
    # A quadratic f less its tangent is f at theta = loc; what the tangent gives is the gradient at the mean.
    residual = problem.integrand(loc.detach())(z, target.q)
    expected = (residual.detach() * target.q.log_prob(z)).mean(0) + target.f(loc.unsqueeze(0), target.q).squeeze(0)
    ours, theirs = (
        torch.autograd.grad(value.sum(), phi, retain_graph=True)[0] for value in (estimator(target).objective, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


class RareBits(BernoulliCurved):
    """Bits whose rarer value comes once in 3,000 draws."""

    @property
    def phi(self):
        return torch.tensor([8.0, -8.0, -8.0], dtype=torch.float64)


ESTIMATORS = {
    "ScoreFunction": lambda: ScoreFunction(num_samples=2, baseline=LeaveOneOut()),
    "MuProp": lambda: MuProp(num_samples=2),
}


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
def test_rare_values_are_weighed_right_in_single_precision(make):
    # 600,000 pairs of draws meet each rare value some 400 times.
    problem = RareBits()
    _, by_phi, _ = gradients(make(), problem, 600_000, torch.float32)
    drawn = Draws(by_phi.double().mean(0), by_phi.double().std(0) / len(by_phi) ** 0.5)
    exact = problem.exact_gradient()[:3]
    assert (exact.abs() > LIMIT * drawn.standard_error).any(), "no gradient at all would pass"
    assert drawn.z_scores(exact).max() < LIMIT


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
def test_extreme_logits_in_single_precision(make):
    logits = 30.0 * torch.linspace(-1.0, 1.0, 2_000).expand(3, -1).clone().requires_grad_()
    estimator = make()
    estimator.num_samples = 64
    target = Expectation(q=bernoulli(logits), f=lambda z, q: z.square().sum(-1) - q.log_prob(z))
    objective = estimator(target).objective
    (gradient,) = torch.autograd.grad(objective.sum(), logits)
    assert torch.isfinite(objective).all()
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_muprop_is_refused_on_the_importance_weighted_bound():
    problem = BernoulliCurved(bound=LogMeanExp())
    with pytest.raises(ValueError, match="MuProp: expected the bound Average, got LogMeanExp"):
        MuProp()(problem.expectation(problem.phi, problem.theta))


def test_samples_that_the_baseline_needs_are_asked_for_by_name():
    with pytest.raises(ValueError, match="num_samples of MuProp with baseline LeaveOneOut: expected at least 2, got 1"):
        MuProp(baseline=LeaveOneOut())
    with pytest.raises(ValueError, match="num_samples of MuProp: expected an integer of at least 1, got 0"):
        MuProp(num_samples=0, baseline=MovingAverage())
