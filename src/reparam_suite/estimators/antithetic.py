"""Antithetic pairs of Bernoulli samples: ARM, DisARM."""

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import latents
from reparam_suite.estimators.base import (
    Estimate,
    Expectation,
    GradientEstimator,
    carry,
    uniform,
)
from reparam_suite.estimators.bounds import Average
from reparam_suite.runtime.checks import even


def antithetic_pairs(logits: Tensor, u: Tensor) -> Tensor:
    """The bits 1[u < p], then 1[1 - u < p], `[2, K/2, *B, D]` from uniforms `[K/2, *B, D]`."""
    noise = torch.logit(u)
    return torch.stack([noise < logits, -noise < logits]).to(logits.dtype)


def disarm_gradient(f: Tensor, z: Tensor, logits: Tensor) -> Tensor:
    """1/2 (f(b) - f(b')) (b - b') sigmoid(|logits|) of each pair, `[K/2, *B, D]`; f is `[2, K/2, *B]`."""
    return 0.5 * (f[0] - f[1]).unsqueeze(-1) * (z[0] - z[1]) * logits.abs().sigmoid()


class _Pairs(GradientEstimator):
    """K/2 antithetic pairs of Bernoulli samples, each made from one uniform a latent."""

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 2) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        even(f"num_samples of {type(self).__name__}", self.num_samples)

    def fits(self, q: Distribution) -> str | None:
        """D independent bits."""
        return latents.bits(q)

    def draw(self, q: Distribution) -> Tensor:
        """One uniform a pair and latent, `[K/2, *B, D]`."""
        logits = latents.logits_of(q)
        return uniform((self.num_samples // 2, *logits.shape), logits)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over both samples of all pairs, carrying the gradient that the pairs give."""
        logits = latents.logits_of(target.q)
        with torch.no_grad():
            u = self.draw(target.q)
            z = antithetic_pairs(logits, u)
        f = target.values(z.flatten(0, 1))
        gradient = self.gradient(f.detach().unflatten(0, z.shape[:2]), z, u, logits.detach()).mean(0)
        objective = target.bound.value(f) + carry((gradient * logits).sum(-1))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    @abstractmethod
    def gradient(self, f: Tensor, z: Tensor, u: Tensor, logits: Tensor) -> Tensor:
        """The logits' gradient from each pair, `[K/2, *B, D]`; f is `[2, K/2, *B]`, z is `[2, K/2, *B, D]`."""


@final
class ARM(_Pairs):
    """Augment-REINFORCE-merge: an antithetic pair of Bernoulli samples, weighed by the noise that made it.

    (f(1[u > 1 - p]) - f(1[u < p])) (u - 1/2), averaged over pairs                   [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. K evaluations of f, K even.
    Yin & Zhou (2019), arXiv 1807.11143, theorem 1.

    Args:
        num_samples: K, samples per datum, two in a pair.

    Raises:
        ValueError: if `num_samples` is odd or below 2.
    """

    def gradient(self, f: Tensor, z: Tensor, u: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG002
        """The difference of the pair's values times how far the noise is from its middle."""
        return (f[1] - f[0]).unsqueeze(-1) * (u - 0.5).to(f.dtype)


@final
class DisARM(_Pairs):
    """Antithetic pairs of Bernoulli samples with the noise that made them integrated out.

    1/2 (f(b) - f(b')) (b - b') sigmoid(|logits|), averaged over pairs               [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. K evaluations of f, K even. It is ARM's conditional
    expectation given the pair, so that its variance is never larger.
    Dong, Mnih & Tucker (2020), arXiv 2006.10680; found independently, as U2G, by Yin et al. (2020).

    Args:
        num_samples: K, samples per datum, two in a pair.

    Raises:
        ValueError: if `num_samples` is odd or below 2.
    """

    def gradient(self, f: Tensor, z: Tensor, u: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG002
        """The same, averaged over the noise that gives this pair."""
        return disarm_gradient(f, z, logits)
