"""Independent chains of an estimator with state, one datum at a time: the check that no sample meets its own value.

A moving average that is updated before it is subtracted holds the sample at hand: the gradient shrinks by the share of
one step, which no check in eval mode sees.
"""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor

from reparam_suite.estimators import GradientEstimator
from reparam_suite.problems import Problem

_NUM_STEPS = 2


def moving_state(estimator: GradientEstimator, problem: Problem) -> Mapping[str, Tensor]:
    """The buffers that a step in training mode moves, as they are before the first one."""
    tried = materialized(estimator, problem)
    before = {name: value.clone() for name, value in tried.named_buffers()}
    tried(problem.expectation(problem.phi.expand(2, -1), problem.theta.expand(2, -1)))
    return {name: before[name] for name, value in tried.named_buffers() if not torch.equal(value, before[name])}


def materialized(estimator: GradientEstimator, problem: Problem) -> GradientEstimator:
    """A deep copy in training mode whose lazy layers have their shapes and whose state is that of the start."""
    tried = deepcopy(estimator).double().eval()
    tried(problem.expectation(problem.phi.expand(2, -1), problem.theta.expand(2, -1)))
    return tried.train()


def chain_gradients(estimator: GradientEstimator, problem: Problem, num_chains: int) -> tuple[Tensor, Tensor]:
    """Gradients with respect to phi `[N, P]` and theta `[N, T]` of N chains of one datum at their second step."""
    tried = materialized(estimator, problem)
    start = {name: value.expand(num_chains, *value.shape).clone() for name, value in tried.named_buffers()}
    phi = problem.phi.expand(num_chains, 1, -1).clone().requires_grad_()
    theta = problem.theta.expand(num_chains, 1, -1).clone().requires_grad_()

    def step(state: dict[str, Tensor], phi: Tensor, theta: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        estimate = torch.func.functional_call(tried, state, (problem.expectation(phi, theta),))
        return estimate.objective, state  # functional_call has put the new buffers there

    chains = torch.func.vmap(step, randomness="different")
    state = start
    with torch.no_grad():
        for _ in range(_NUM_STEPS - 1):
            _, state = chains(state, phi, theta)
    objective, _ = chains(state, phi, theta)
    by_phi, by_theta = torch.autograd.grad(objective.sum(), (phi, theta))
    return by_phi.squeeze(1), by_theta.squeeze(1)
