"""Pathwise estimators know when their samples have landed."""

import math

import pytest
import torch

from reparam_suite.distributions import beta, dirichlet, frozen, gamma, normal, von_mises
from reparam_suite.estimators import Expectation, LogMeanExp, Pathwise, StickTheLanding


def at(make, shape):
    """A distribution from positive numbers, with them."""
    numbers = torch.linspace(0.6, 3.1, math.prod(shape), dtype=torch.float64).reshape(shape)
    numbers = numbers.expand(50, *shape).clone().requires_grad_()
    return numbers, make(numbers)


QS = {
    "Normal": lambda: at(lambda p: normal(p[:, 0], p[:, 1]), (2, 3)),
    "Gamma": lambda: at(lambda p: gamma(p[:, 0], p[:, 1]), (2, 3)),
    "Beta": lambda: at(lambda p: beta(p[:, 0], p[:, 1]), (2, 3)),
    "Dirichlet": lambda: at(dirichlet, (2, 3)),
    "VonMises": lambda: at(lambda p: von_mises(p[:, 0], p[:, 1]), (2, 3)),
}


@pytest.mark.parametrize("bound", [None, LogMeanExp()], ids=["Average", "LogMeanExp"])
@pytest.mark.parametrize("make", QS.values(), ids=QS)
def test_landing_on_the_posterior_makes_no_noise(make, bound):
    numbers, q = make()
    posterior = frozen(q)
    given = {} if bound is None else {"bound": bound}
    target = Expectation(q=q, f=lambda z, q: posterior.log_prob(z) - q.log_prob(z) - 1.3, **given)
    landed, plain = (
        torch.autograd.grad(estimator(target).objective.sum(), numbers)[0]
        for estimator in (StickTheLanding(num_samples=2), Pathwise(num_samples=2))
    )
    assert plain.abs().max() > 0.1
    assert landed.abs().max() < 1e-12


def test_one_sample_of_the_importance_weighted_bound_is_the_average():
    numbers, q = QS["VonMises"]()
    z = q.rsample((1,))
    gradients = []
    for bound in ({}, {"bound": LogMeanExp()}):
        estimator = StickTheLanding()
        estimator.draw = lambda _: 1.0 * z  # a tensor of its own: the estimator hooks into its gradient
        target = Expectation(q=q, f=lambda z, q: (2.0 * z).cos().sum(-1) - q.log_prob(z), **bound)
        gradients.append(torch.autograd.grad(estimator(target).objective.sum(), numbers, retain_graph=True)[0])
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)
