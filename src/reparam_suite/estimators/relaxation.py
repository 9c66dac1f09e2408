"""Relaxations: a continuous stand-in for the discrete sample, and the gradient through it.

The noise is logistic for bits and Gumbel for one-hot latents; bits are the two-class case, with the difference of the
two Gumbels for noise and of the two logits for logit.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family, softmax
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import (
    Estimate,
    Expectation,
    GradientEstimator,
    carry,
    uniform,
)
from reparam_suite.estimators.bounds import Average
from reparam_suite.estimators.temperature import Temperature, checked_temperature, current


def relaxation_noise(q: Distribution, num_samples: int) -> Tensor:
    """Logistic noise for Bernoulli logits, Gumbel noise for categorical ones; float32 or wider.

    logits + noise is positive (Bernoulli), or largest at c (categorical), with the probability that q gives.
    """
    logits = latents.logits_of(q)
    return noise_of(q, uniform((num_samples, *logits.shape), logits))


def noise_of(q: Distribution, u: Tensor) -> Tensor:
    """The same from uniforms, by the quantile function."""
    return torch.logit(u) if family(q) is Bernoulli else u.log().neg_().log_().neg_()


def hardened(q: Distribution, perturbed: Tensor) -> Tensor:
    """The corner that perturbed logits `[K, *B, D]` or `[K, *B, D, C]` select."""
    if family(q) is Bernoulli:
        return (perturbed > 0).to(perturbed.dtype)
    return torch.zeros_like(perturbed).scatter_(-1, perturbed.argmax(-1, keepdim=True), 1.0)


def softened(q: Distribution, perturbed: Tensor, temperature: float | Tensor) -> Tensor:
    """The point inside the simplex that perturbed logits select at a temperature."""
    scaled = perturbed / temperature
    return scaled.sigmoid() if family(q) is Bernoulli else softmax(scaled)


def perturbed_given(q: Distribution, hard: Tensor, noise: Tensor) -> Tensor:
    """Perturbed logits drawn from their law given the corner that they select, out of fresh noise.

    Bits, s = 2 hard - 1: s log(1 + exp(s noise) (1 + exp(s logit))). One-hot: the noise of the selected class is the
    maximum M, whose law depends on nothing else; the others are Gumbels below it, -log(exp(-logit - noise) + exp(-M))
    or M + log sigmoid(logit + noise - M).
    Maddison, Tarlow & Minka (2014); Tucker et al. (2017), arXiv 1703.07370.
    """
    (shortfall,) = shortfalls_given(q, hard, [noise])
    if family(q) is Bernoulli:
        return (1.0 - 2.0 * hard) * shortfall
    return (hard * noise).sum(-1, keepdim=True) + shortfall


def shortfalls_given(q: Distribution, hard: Tensor, noises: Iterable[Tensor]) -> Iterator[Tensor]:
    """By how much such perturbed logits fall short of the selected one, 0 or less, for one noise after the other.

    Bits: minus their absolute value. One-hot: the perturbed logits less their maximum.
    """
    logits = latents.logits_of(q)
    if family(q) is Bernoulli:
        sign = 2.0 * hard - 1.0
        log_other = F.logsigmoid(-sign * logits)
        for noise in noises:
            yield F.logsigmoid(log_other - sign * noise)
    else:
        others = 1.0 - hard
        for noise in noises:
            maximum = (hard * noise).sum(-1, keepdim=True)
            yield others * F.logsigmoid(logits + noise - maximum)


class Relaxation(GradientEstimator, ABC):
    """An estimator that differentiates through a relaxed sample, whatever f sees.

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
        """The noise of K samples, shaped as the logits, `[K, *B, D]` or `[K, *B, D, C]`."""
        return relaxation_noise(q, self.num_samples)

    @abstractmethod
    def sample(self, q: Distribution) -> Tensor:
        """The argument of f, `[K, *B, D]` or `[K, *B, D, C]`, with the gradient that is to reach q's logits."""

    def estimate(self, target: Expectation) -> Estimate:
        """The mean of f, differentiated as it stands."""
        z = self.sample(target.q)
        if latents.bits_or_one_hot(target.q) is None:
            z = z.to(latents.logits_of(target.q).dtype)
        objective = target.bound.value(target.values(z))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class GumbelSoftmax(Relaxation):
    """The concrete relaxation: softmax((logits + Gumbel) / temperature), or its sigmoid for bits.

    df/dz~ d z~ / d phi,  z~ = softmax((phi + g) / temperature)                      [*B]

    Biased, the less the colder; its value is that of the relaxed model. f differentiable inside the simplex.
    K evaluations of f.
    Jang, Gu & Poole (2017), arXiv 1611.01144; Maddison, Mnih & Teh (2017), arXiv 1611.00712.

    Args:
        num_samples: K, samples per datum.
        temperature: of the relaxation, above 0, or a schedule; colder is less biased and noisier.

    Raises:
        ValueError: if `num_samples` is below 1 or `temperature` is not positive.
    """

    relaxed = True

    def __init__(self, *, num_samples: int = 1, temperature: Temperature = 0.5) -> None:
        super().__init__(num_samples=num_samples)
        self.temperature = checked_temperature(self, "temperature", temperature)

    def fits(self, q: Distribution) -> str | None:
        """D independent bits or one-hot latents, or any q with a method `relaxed(temperature)`."""
        return None if hasattr(q, "relaxed") else super().fits(q)

    def sample(self, q: Distribution) -> Tensor:
        """The relaxed sample, forward and backward."""
        if hasattr(q, "relaxed"):
            z: Tensor = q.relaxed(current(self.temperature)).rsample(torch.Size((self.num_samples,)))
            return z
        return softened(q, latents.logits_of(q) + self.draw(q), current(self.temperature))


@final
class StraightThroughGumbel(Relaxation):
    """A hard sample forward, the relaxed sample of the same noise backward.

    df/dz d z~ / d phi,  z = argmax(phi + g),  z~ = softmax((phi + g) / temperature)       [*B]

    phi's gradient is biased, the value and theta's gradient are not. f differentiable in z, near the corners.
    K evaluations of f.
    Jang, Gu & Poole (2017), arXiv 1611.01144, section 2.2.

    Args:
        num_samples: K, samples per datum.
        temperature: of the backward pass, above 0, or a schedule.

    Raises:
        ValueError: if `num_samples` is below 1 or `temperature` is not positive.
    """

    def __init__(self, *, num_samples: int = 1, temperature: Temperature = 0.5) -> None:
        super().__init__(num_samples=num_samples)
        self.temperature = checked_temperature(self, "temperature", temperature)

    def sample(self, q: Distribution) -> Tensor:
        """The hard sample, carrying the gradient of the relaxed one."""
        perturbed = latents.logits_of(q) + self.draw(q)
        return hardened(q, perturbed) + carry(softened(q, perturbed, current(self.temperature)))


@final
class DecoupledGumbel(Relaxation):
    """Straight-through Gumbel with one temperature for the hard sample's noise and another for its gradient.

    df/dz d z~ / d phi,  z = argmax(phi + forward g),  z~ = softmax((phi + forward g) / backward)      [*B]

    z is drawn from softmax(phi / forward): at 1 from q, which is StraightThroughGumbel; towards 0 it is the mode of q.
    Biased; away from 1 its value is that of the tempered model. f differentiable in z, near the corners.
    K evaluations of f.
    Shah, Yan, Mozer & Liu (2024), arXiv 2410.13331. There the first version scales logits and noise alike before the
    argmax, which changes nothing: this is the second, where the forward temperature sets the randomness.

    Args:
        num_samples: K, samples per datum.
        forward_temperature: of the sample, above 0, or a schedule.
        backward_temperature: of the gradient, above 0, or a schedule.

    Raises:
        ValueError: if `num_samples` is below 1 or a temperature is not positive.
    """

    relaxed = True

    def __init__(
        self,
        *,
        num_samples: int = 1,
        forward_temperature: Temperature = 0.5,
        backward_temperature: Temperature = 1.0,
    ) -> None:
        super().__init__(num_samples=num_samples)
        self.forward_temperature = checked_temperature(self, "forward_temperature", forward_temperature)
        self.backward_temperature = checked_temperature(self, "backward_temperature", backward_temperature)

    def sample(self, q: Distribution) -> Tensor:
        """The hard sample of the tempered q, carrying the gradient of the relaxed one."""
        perturbed = latents.logits_of(q) + current(self.forward_temperature) * self.draw(q)
        return hardened(q, perturbed) + carry(softened(q, perturbed, current(self.backward_temperature)))
