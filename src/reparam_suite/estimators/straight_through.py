"""Straight-through: a hard sample forward, the derivative of its mean backward."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry
from reparam_suite.estimators.bounds import Average
from reparam_suite.variational import OneHotCategorical


@final
class StraightThrough(GradientEstimator):
    """The sample's derivative is taken to be that of its mean.

    df/dz d E_q[z] / d phi                                                           [*B]

    Biased unless f is linear in each factor; discrete; f differentiable in z, and meaningful near the corners.
    K evaluations of f.
    Bengio, Leonard & Courville (2013), arXiv 1308.3432, section 4.

    Args:
        num_samples: K, samples a datum.

    Raises:
        ValueError: if `num_samples` is below 1.
    """

    families = (Bernoulli, OneHotCategorical)
    bounds = (Average,)
    differentiates_f = True
    unbiased = False

    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)

    def draw(self, q: Distribution) -> Tensor:
        """K hard samples, `[K, *B, D]` or `[K, *B, D, C]`."""
        return q.sample((self.num_samples,))

    def estimate(self, target: Expectation) -> Estimate:
        """The bound at hard samples that carry the gradient of q's mean."""
        with torch.no_grad():
            z = self.draw(target.q)
        objective = target.bound.value(target.values(z + carry(target.q.mean)))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))
