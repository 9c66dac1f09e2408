"""Two estimators at the same noise: value and gradient of each, compared number by number."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import Expectation, GradientEstimator
from reparam_suite.problems import Problem


class Result(NamedTuple):
    """Value `[*B]`, gradient with respect to phi and theta `[*B, .]`."""

    value: Tensor
    phi: Tensor
    theta: Tensor


def at(noise: Tensor, estimator: GradientEstimator) -> GradientEstimator:
    """The estimator in eval mode, with its noise given."""
    estimator.draw = lambda q: noise.clone()
    return estimator.eval()


def evaluate(estimator: GradientEstimator, make: Callable[[Tensor, Tensor], Expectation], phi, theta) -> Result:
    """The estimate for the expectation made from phi and theta, `[*B, .]` each."""
    phi, theta = phi.clone().requires_grad_(), theta.clone().requires_grad_()
    objective = estimator(make(phi, theta)).objective
    gradients = torch.autograd.grad(objective.sum(), (phi, theta), materialize_grads=True)
    return Result(objective.detach(), *gradients)


def on(estimator: GradientEstimator, problem: Problem, num_replicates: int = 50) -> Result:
    """The estimate on a problem."""
    phi, theta = (given.expand(num_replicates, -1) for given in (problem.phi, problem.theta))
    return evaluate(estimator.double(), problem.expectation, phi, theta)


def assert_same(left: Result, right: Result, rtol: float = 1e-12) -> None:
    """Equal up to rounding, and not because both are nothing."""
    for ours, theirs in zip(left, right, strict=True):
        scale = theirs.abs().max().item()
        assert scale > 0
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol * scale)


def noise_like(problem: Problem, draw: Callable[[Distribution], Tensor], num_replicates: int = 50) -> Tensor:
    """The noise that `draw` gives on a problem."""
    torch.manual_seed(3)
    return draw(problem.q(problem.phi.expand(num_replicates, -1)))
