"""Straight-through: a hard sample forward, a linear map from df/dz to the gradient of the logits backward.

Per latent, with pi its probabilities, z its one-hot sample and J(p) = diag(p) - p p^T the Jacobian of the softmax.
Bits are the two-class case, where the map is one number.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family, samples, softmax
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry
from reparam_suite.estimators.bounds import Average
from reparam_suite.runtime.checks import number


class HardSample(GradientEstimator, ABC):
    """An estimator that hands f hard samples and gives them a gradient of its own making.

    Args:
        num_samples: K, samples per datum.
    """

    bounds = (Average,)
    differentiates_f = True
    unbiased = False

    def __init__(self, *, num_samples: int) -> None:
        super().__init__(num_samples=num_samples)

    def fits(self, q: Distribution) -> str | None:
        """D independent bits or one-hot latents."""
        return latents.bits_or_one_hot(q)

    def draw(self, q: Distribution) -> Tensor:
        """K hard samples, `[K, *B, D]` or `[K, *B, D, C]`."""
        return samples(q, self.num_samples)

    @abstractmethod
    def image(self, q: Distribution, z: Tensor, step: Tensor) -> Tensor:
        """The change of z that is ascribed to a step in the logits, by a symmetric linear map; shaped as z."""

    def estimate(self, target: Expectation) -> Estimate:
        """The bound at hard samples that carry a gradient."""
        with torch.no_grad():
            z = self.draw(target.q)
        step = carry(latents.logits_of(target.q))
        objective = target.bound.value(target.values(z + self.image(target.q, z, step)))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class StraightThrough(HardSample):
    """The sample's derivative is taken to be that of its mean.

    1/t J(pi_t) df/dz,  pi_t = softmax(phi / t)                                      [*B]

    phi's gradient is biased unless the temperature t is 1 and f linear in each factor, the value and theta's gradient
    are not; discrete; f differentiable in z, near the corners. K evaluations of f.
    Bengio, Leonard & Courville (2013), arXiv 1308.3432, section 4; with a temperature as in the code of Liu et al.
    (2023), arXiv 2304.08612.

    Args:
        num_samples: K, samples per datum.
        temperature: of the mean whose derivative is taken, above 0.

    Raises:
        ValueError: if `num_samples` is below 1 or `temperature` is not positive.
    """

    def __init__(self, *, num_samples: int = 1, temperature: float = 1.0) -> None:
        super().__init__(num_samples=num_samples)
        self.temperature = number(f"temperature of {type(self).__name__}", temperature, above=0.0)

    def image(self, q: Distribution, z: Tensor, step: Tensor) -> Tensor:  # noqa: ARG002
        """1/t J(pi_t) step."""
        if self.temperature == 1.0:
            pi, scaled = q.mean.detach(), step
        else:
            logits, scaled = latents.logits_of(q).detach() / self.temperature, step / self.temperature
            pi = logits.sigmoid() if family(q) is Bernoulli else softmax(logits)
        return pi * (1.0 - pi) * scaled if family(q) is Bernoulli else _jacobian(pi, scaled)


@final
class DARN(HardSample):
    """The score function with f expanded to first order about the mean of each factor.

    (z - pi) (z - pi)^T df/dz                                                        [*B]

    phi's gradient is biased, the value and theta's gradient are not; discrete; f differentiable in z, near the corners.
    K evaluations of f.
    Gregor et al. (2014), arXiv 1310.8499; in this form Liu et al. (2023), arXiv 2304.08612.

    Args:
        num_samples: K, samples per datum.

    Raises:
        ValueError: if `num_samples` is below 1.
    """

    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)

    def image(self, q: Distribution, z: Tensor, step: Tensor) -> Tensor:
        """(z - pi) (z - pi)^T step."""
        error = z - q.mean.detach()
        return error.square() * step if family(q) is Bernoulli else error * (error * step).sum(-1, keepdim=True)


@final
class ReinMax(HardSample):
    """Heun's rule instead of Euler's: second-order accurate in the size of the jump.

    (2 J((pi_t + z) / 2) - 1/2 J(pi)) df/dz,  pi_t = softmax(phi / temperature)              [*B]

    phi's gradient is biased unless the temperature is 1 and f quadratic in each factor, the value and theta's gradient
    are not; discrete; f differentiable in z, near the corners. At 1 it is the mean of StraightThrough and DARN, and the
    limit of GumbelRao at temperature 0. K evaluations of f.
    Liu, Dong, Liu, Zhu & Gao (2023), arXiv 2304.08612, algorithm 2; Shekhovtsov (2023).

    Args:
        num_samples: K, samples per datum.
        temperature: of the probabilities that z is averaged with, at least 1; warmer is less noisy and more biased.

    Raises:
        ValueError: if `num_samples` is below 1 or `temperature` is below 1.
    """

    def __init__(self, *, num_samples: int = 1, temperature: float = 1.0) -> None:
        super().__init__(num_samples=num_samples)
        self.temperature = number(f"temperature of {type(self).__name__}", temperature, least=1.0)

    def image(self, q: Distribution, z: Tensor, step: Tensor) -> Tensor:
        """(2 J((pi_t + z) / 2) - 1/2 J(pi)) step."""
        scaled, pi = latents.logits_of(q).detach() / self.temperature, q.mean.detach()
        if family(q) is Bernoulli:
            middle = 0.5 * (scaled.sigmoid() + z)
            return (2.0 * middle * (1.0 - middle) - 0.5 * pi * (1.0 - pi)) * step
        middle = 0.5 * (softmax(scaled) + z)
        return 2.0 * _jacobian(middle, step) - 0.5 * _jacobian(pi, step)


def _jacobian(p: Tensor, step: Tensor) -> Tensor:
    # J(p) step of classes, `p` without a gradient.
    return p * (step - (p * step).sum(-1, keepdim=True))
