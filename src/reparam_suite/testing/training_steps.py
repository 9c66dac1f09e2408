"""Steps in training mode of an estimator with state: no sample may meet its own value in what is remembered.

A moving average that is updated before it is subtracted holds the sample at hand: the gradient shrinks by the share of
one step, which no check in eval mode sees.
"""

from copy import deepcopy

import torch
from torch import Tensor

from reparam_suite.estimators import GradientEstimator
from reparam_suite.problems import Problem


def has_moving_state(estimator: GradientEstimator, problem: Problem) -> bool:
    """Whether a step in training mode changes a buffer."""
    tried = _materialized(estimator, problem)
    before = [buffer.clone() for buffer in tried.buffers()]
    tried(problem.expectation(problem.phi.expand(1, -1), problem.theta.expand(1, -1)))
    return any(not torch.equal(old, new) for old, new in zip(before, tried.buffers(), strict=True))


def second_steps(estimator: GradientEstimator, problem: Problem, num_replicates: int) -> tuple[Tensor, Tensor]:
    """Gradients with respect to phi `[N, P]` and theta `[N, T]` of second steps, each with one datum.

    All of them come after the same first step: whatever it left behind, their mean is the exact gradient. They are made
    one by one, since torch's own samples cannot be drawn under vmap.
    """
    tried = _materialized(estimator, problem)
    tried(problem.expectation(problem.phi.expand(1, -1), problem.theta.expand(1, -1)))
    past = {name: buffer.clone() for name, buffer in tried.named_buffers()}
    phi = problem.phi.unsqueeze(0).requires_grad_()
    theta = problem.theta.unsqueeze(0).requires_grad_()
    gradients = []
    for _ in range(num_replicates):
        state = {name: buffer.clone() for name, buffer in past.items()}
        estimate = torch.func.functional_call(tried, state, (problem.expectation(phi, theta),))
        gradients.append(torch.autograd.grad(estimate.objective.sum(), (phi, theta)))
    by_phi, by_theta = zip(*gradients, strict=True)
    return torch.cat(by_phi), torch.cat(by_theta)


def _materialized(estimator: GradientEstimator, problem: Problem) -> GradientEstimator:
    # A deep copy in training mode whose lazy layers have their shapes and whose state is that of the start.
    tried = deepcopy(estimator).double().eval()
    tried(problem.expectation(problem.phi.expand(1, -1), problem.theta.expand(1, -1)))
    return tried.train()
