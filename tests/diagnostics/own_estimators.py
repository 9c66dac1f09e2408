"""Estimators that a user might bring."""

from typing import final

import torch
from torch.distributions import Bernoulli, Normal

from reparam_suite.estimators import Average, Estimate, Expectation, GradientEstimator, carry


class _Own(GradientEstimator):
    families = (Normal, Bernoulli)
    bounds = (Average,)
    differentiates_f = True
    unbiased = False

    def __init__(self) -> None:
        super().__init__(num_samples=1)


@final
class SeveralCalls(_Own):
    """F at one sample, at three, and without a gradient; a detached inner gradient."""

    def estimate(self, target: Expectation) -> Estimate:
        z = target.q.rsample((1,))
        with torch.no_grad():
            constant = target.values(z).mean(0)
        again = target.q.rsample((3,))
        f = target.values(again)
        (inner,) = torch.autograd.grad(f.sum(), again, retain_graph=True)
        objective = target.values(z).mean(0) * constant.tanh() + f.mean(0) + (carry(again) * inner).sum(-1).mean(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class ThroughTheGradient(_Own):
    """An objective that depends on df/dz: theta is reached through the backward pass of f as well."""

    def estimate(self, target: Expectation) -> Estimate:
        z = target.q.rsample((1,))
        f = target.values(z)
        (slope,) = torch.autograd.grad(f.sum(), z, create_graph=True)
        objective = f.mean(0) + 0.1 * slope.square().sum(-1).mean(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))
