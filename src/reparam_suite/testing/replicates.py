"""Independent gradients of an estimator on a problem, drawn along a batch axis."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reparam_suite.estimators import Expectation, GradientEstimator
from reparam_suite.problems import Problem
from reparam_suite.testing.statistics import MOST_ROUNDS, NUM_REPLICATES, Draws, draw_until_precise


@dataclass(frozen=True)
class Measured:
    """An estimator's value `[]` on a problem, and its gradients with respect to phi `[P]` and theta `[T]`."""

    value: Draws
    phi: Draws
    theta: Draws


def black_box(target: Expectation) -> Expectation:
    """The same target with an f through which no gradient reaches z."""
    return replace(target, f=lambda z, q: target.f(z.detach(), q))


def draw_once(
    estimator: GradientEstimator, problem: Problem, num_replicates: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Independent values `[N]`, gradients with respect to phi `[N, P]` and theta `[N, T]`, in one backward pass.

    An estimator that declares that it does not differentiate f is given an f whose gradient does not reach z.
    """
    phi = problem.phi.to(dtype).expand(num_replicates, -1).clone().requires_grad_()
    theta = problem.theta.to(dtype).expand(num_replicates, -1).clone().requires_grad_()
    target = problem.expectation(phi, theta)
    objective = estimator(target if estimator.differentiates_f else black_box(target)).objective
    by_phi, by_theta = torch.autograd.grad(objective.sum(), (phi, theta))
    return objective.detach(), by_phi, by_theta


def measure(
    estimator: GradientEstimator,
    problem: Problem,
    dtype: torch.dtype = torch.float64,
    *,
    num_replicates: int = NUM_REPLICATES,
    most_rounds: int = MOST_ROUNDS,
) -> Measured:
    """Draws `num_replicates` at a time until an error of 3 % in the value, phi or theta would show."""
    blocks = draw_until_precise(lambda: draw_once(estimator, problem, num_replicates, dtype), most_rounds)
    value, phi, theta = (Draws(block.mean.to(dtype), block.standard_error.to(dtype)) for block in blocks)
    return Measured(value, phi, theta)
