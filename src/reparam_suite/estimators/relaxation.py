"""Relaxations: a continuous stand-in for the discrete sample, and the gradient through it."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, uniform
from reparam_suite.estimators.bounds import Average
from reparam_suite.variational import OneHotCategorical, family


def relaxation_noise(q: Distribution, num_samples: int) -> Tensor:
    """Logistic noise for Bernoulli logits, Gumbel noise for categorical ones; float32 or wider.

    logits + noise is positive (Bernoulli), or largest at c (categorical), with the probability that q gives.
    """
    logits = q.base_dist.logits  # type: ignore[attr-defined]
    u = uniform((num_samples, *logits.shape), logits)
    return torch.logit(u) if family(q) is Bernoulli else -(-u.log()).log()


@final
class GumbelSoftmax(GradientEstimator):
    """The concrete relaxation: softmax((logits + Gumbel) / temperature), or its sigmoid for bits.

    df/dz~ d z~ / d phi,  z~ = softmax((phi + g) / temperature)                      [*B]

    Biased, the less the colder; its value is that of the relaxed model. f differentiable inside the simplex.
    K evaluations of f.
    Jang, Gu & Poole (2017), arXiv 1611.01144; Maddison, Mnih & Teh (2017), arXiv 1611.00712.

    Args:
        num_samples: K, samples a datum.
        temperature: of the relaxation, above 0; colder is less biased and noisier.

    Raises:
        ValueError: if `num_samples` is below 1 or `temperature` is not positive.
    """

    families = (Bernoulli, OneHotCategorical)
    bounds = (Average,)
    relaxed = True
    differentiates_f = True
    unbiased = False

    def __init__(self, *, num_samples: int = 1, temperature: float = 0.5) -> None:
        super().__init__(num_samples=num_samples)
        if not temperature > 0.0:
            raise ValueError(f"temperature of GumbelSoftmax must be positive, got {temperature}")
        self.temperature = temperature

    def draw(self, q: Distribution) -> Tensor:
        """The noise of K samples, shaped as the logits, `[K, *B, D]` or `[K, *B, D, C]`."""
        return relaxation_noise(q, self.num_samples)

    def estimate(self, target: Expectation) -> Estimate:
        """The value and the ordinary gradient of the relaxed model."""
        logits = target.q.base_dist.logits  # type: ignore[attr-defined]
        perturbed = (logits + self.draw(target.q)) / self.temperature
        z = perturbed.sigmoid() if family(target.q) is Bernoulli else perturbed.softmax(-1)
        objective = target.bound.value(target.values(z.to(logits.dtype)))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))
