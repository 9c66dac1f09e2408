"""Straight-through Gumbel with its noise averaged out given the sample."""

import functools
from collections.abc import Iterable
from itertools import chain
from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import (
    carry,
    inside,
    uniform,
)
from reparam_suite.estimators.relaxation import Relaxation, hardened, noise_of, shortfalls_given
from reparam_suite.estimators.temperature import Temperature, checked_temperature, current
from reparam_suite.runtime.checks import integer


@final
class GumbelRao(Relaxation):
    """Straight-through Gumbel with the noise averaged out of the softmax's Jacobian, given the hard sample.

    df/dz 1/R sum_r d softmax(z_r / temperature) / d z_r,  z_r ~ p(phi + g | argmax = z)          [*B]

    The noise that gave z is the first draw, so that R = 1 is StraightThroughGumbel; more draws leave its bias and lower
    its variance. They are one uniform turned round the circle in equal steps: each has the law that it should have, and
    together they fill it more evenly than independent ones. phi's gradient is biased, the value and theta's gradient
    are not. f differentiable in z, near the corners. K evaluations of f, R softmaxes each.
    Paulus, Maddison & Krause (2021), arXiv 2010.04838, section 3.

    Args:
        num_samples: K, samples per datum.
        num_conditional: R, draws of the noise given a sample.
        temperature: of the backward pass, above 0, or a schedule.

    Raises:
        ValueError: if `num_samples` or `num_conditional` is below 1 or `temperature` is not positive.
    """

    def __init__(self, *, num_samples: int = 1, num_conditional: int = 10, temperature: Temperature = 0.5) -> None:
        super().__init__(num_samples=num_samples)
        self.num_conditional = integer(f"num_conditional of {type(self).__name__}", num_conditional, least=1)
        self.temperature = checked_temperature(self, "temperature", temperature)

    def draw(self, q: Distribution) -> Tensor:
        """The noise of K samples, then that of their conditional draws: `[R, K, *B, D]` or `[R, K, *B, D, C]`."""
        logits = latents.logits_of(q)
        first, start = uniform((2, self.num_samples, *logits.shape), logits)
        noise: Tensor = first.new_empty(self.num_conditional, *first.shape)
        noise[0] = noise_of(q, first)
        for turn in range(1, self.num_conditional):
            noise[turn] = noise_of(q, inside((start + turn / (self.num_conditional - 1)).frac()))
        return noise

    def sample(self, q: Distribution) -> Tensor:
        """The hard sample, carrying the logits' step through the mean Jacobian; the conditional draws are constants."""
        logits, temperature = latents.logits_of(q), current(self.temperature)
        with torch.no_grad():
            noises = iter(self.draw(q))  # which holds them no longer when it has given the last
            perturbed = logits + next(noises)
            hard = hardened(q, perturbed)
            own = -perturbed.abs() if family(q) is Bernoulli else perturbed - perturbed.amax(-1, keepdim=True)
            shortfalls = chain([own], shortfalls_given(q, hard, noises))
            jacobian = mean_jacobian(
                q, (shortfall.div_(temperature) for shortfall in shortfalls), self.num_conditional
            ).div_(temperature)
        step = carry(logits)
        return hard + (jacobian * step if family(q) is Bernoulli else (jacobian @ step.unsqueeze(-1)).squeeze(-1))


def mean_jacobian(q: Distribution, shortfalls: Iterable[Tensor], num_conditional: int) -> Tensor:
    """The mean Jacobian of the softmax over R relaxed points, given by their logits less the largest, overwritten.

    One number for a bit, `[K, *B, D]`, a matrix for a class, `[K, *B, D, C, C]`.
    """
    if family(q) is Bernoulli:
        sides = (shortfall.sigmoid_() for shortfall in shortfalls)
        return functools.reduce(torch.add, (p * (1.0 - p) for p in sides)) / num_conditional
    # None above 0, so that the softmax needs no maximum.
    weights = (shortfall.exp_() for shortfall in shortfalls)
    p = torch.stack([weight.div_(weight.sum(-1, keepdim=True)) for weight in weights], -2)  # [K, *B, D, R, C]
    products = p.mT @ p
    products.neg_().diagonal(dim1=-2, dim2=-1).add_(p.sum(-2))
    return products.div_(num_conditional)
