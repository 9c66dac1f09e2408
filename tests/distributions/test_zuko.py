"""A normalizing flow of another library, zuko: it names no parameters and takes every pathwise and score estimator."""

from copy import deepcopy

import pytest
import torch
from torch.distributions import Distribution

from reparam_suite.distributions import (
    FrozenDensity,
    frozen,
    is_reparameterized,
    kl_divergence,
    parameters,
    standard_normal,
)
from reparam_suite.estimators import Expectation, LeaveOneOut, LogMeanExp, Pathwise, ScoreFunction, StickTheLanding

validates = Distribution._validate_args
zuko = pytest.importorskip("zuko")
Distribution.set_default_validate_args(validates)  # which importing zuko switches off for the whole process


@pytest.fixture
def flow():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return zuko.flows.MAF(features=2, context=3, transforms=2, hidden_features=(8,)).double()


X = torch.linspace(-1.0, 1.2, 12, dtype=torch.float64).reshape(4, 3)


def test_what_it_answers(flow):
    q = flow(X)
    assert parameters(q) == {}
    assert is_reparameterized(q)
    assert isinstance(frozen(q), FrozenDensity)
    assert kl_divergence(q, standard_normal(torch.zeros(2))) is None
    z = q.sample((5,)).requires_grad_()
    ours, theirs = (torch.autograd.grad(density.log_prob(z).sum(), z)[0] for density in (frozen(q), q))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("num_samples", [1, 3])
def test_its_landing_has_no_noise_where_the_flow_is_the_posterior(flow, num_samples):
    def f(z, q):
        return posterior(X).log_prob(z) - q.log_prob(z)

    posterior, weights = deepcopy(flow).requires_grad_(False), list(flow.parameters())
    still = StickTheLanding(num_samples=num_samples)(Expectation(q=flow(X), f=f)).objective
    assert (
        max(g.abs().max() for g in torch.autograd.grad(still.sum(), weights, allow_unused=True) if g is not None) < 1e-9
    )
    noisy = Pathwise(num_samples=num_samples)(Expectation(q=flow(X), f=f)).objective
    assert (
        max(g.abs().max() for g in torch.autograd.grad(noisy.sum(), weights, allow_unused=True) if g is not None) > 1e-3
    )


def test_the_estimators_agree_in_the_mean(flow):
    x = X[:1].expand(20_000, 3)
    weights = list(flow.parameters())
    found = {}
    for name, estimator, bound in [
        ("pathwise", Pathwise(num_samples=2), LogMeanExp()),
        ("landing", StickTheLanding(num_samples=2), LogMeanExp()),
        ("score", ScoreFunction(num_samples=2, baseline=LeaveOneOut()), LogMeanExp()),
    ]:
        means = []
        for seed in range(12):
            torch.manual_seed(seed)
            f = lambda z, q: -(z - 0.7).square().sum(-1) - q.log_prob(z)  # noqa: E731
            objective = estimator(Expectation(q=flow(x), f=f, bound=bound)).objective.mean()
            means.append(
                torch.cat([g.flatten() for g in torch.autograd.grad(objective, weights, materialize_grads=True)])
            )
        means = torch.stack(means)
        found[name] = means.mean(0), means.std(0) / len(means) ** 0.5
    for name in ("landing", "score"):
        error = (found[name][1].square() + found["pathwise"][1].square()).sqrt()
        worst = ((found[name][0] - found["pathwise"][0]).abs() / error.clamp_min(1e-9)).max()
        assert worst < 8.0, f"{name}: {worst:.1f}"  # Student's t of 11 degrees, over some 200 weights
        assert (found[name][0].abs() > 15 * found[name][1]).any()
