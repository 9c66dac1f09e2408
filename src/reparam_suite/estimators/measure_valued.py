"""Weak derivatives: the derivative of a density is the difference of two densities, and f is evaluated under both.

The law of one latent is replaced at a time; the other latents are sampled from q.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family, parameters
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, uniform
from reparam_suite.estimators.bounds import Average
from reparam_suite.estimators.local import bernoulli_variance, with_each_replaced
from reparam_suite.runtime.checks import integer


class _Laws(NamedTuple):
    # Draws of location 0 and scale 1, each `[K, *B, D]`, from the laws that the derivative of a normal is made of.
    base: Tensor  # normal: the samples of the value, and the negative law of the scale
    others: Tensor  # normal: the other latents under the positive laws
    maxwell: Tensor  # of density x^2 exp(-x^2 / 2) / sqrt(2 pi): the positive law of the scale
    right: Tensor  # of density x exp(-x^2 / 2), Weibull: the positive law of the mean
    left: Tensor  # its mirror image: the negative law of the mean


class _WeakDerivative(GradientEstimator, ABC):
    bounds = (Average,)
    differentiates_f = False
    unbiased = True
    num_normals: ClassVar[int]
    num_uniforms: ClassVar[int]

    def __init__(self, *, num_samples: int, chunk_size: int) -> None:
        super().__init__(num_samples=num_samples)
        self.chunk_size = integer(f"chunk_size of {type(self).__name__}", chunk_size, least=1)

    def fits(self, q: Distribution) -> str | None:
        """D independent normals or bits."""
        if latents.independent_normals(q) is None or latents.bits(q) is None:
            return None
        return f"expected a q of independent normals or bits, event_shape [D], got {latents.described(q)}"

    def draw(self, q: Distribution) -> Tensor:
        """The noise of the samples, `[., K, *B, D]`: standard normals, or uniforms for Bernoulli latents."""
        like = next(iter(parameters(q).values()))
        if family(q) is Bernoulli:
            return uniform((self.num_uniforms, self.num_samples, *like.shape), like)
        dtype = torch.promote_types(like.dtype, torch.float32)
        return torch.randn((self.num_normals, self.num_samples, *like.shape), dtype=dtype, device=like.device)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over samples of q, carrying the differences between the two laws, one latent at a time."""
        return (self._bernoulli if family(target.q) is Bernoulli else self._normal)(target)

    def _normal(self, target: Expectation) -> Estimate:
        loc, scale = parameters(target.q).values()
        with torch.no_grad():
            base, others, maxwell, right, left = (
                (loc + scale * law).to(loc.dtype) for law in self._laws(self.draw(target.q))
            )
        f = target.values(base)
        with torch.no_grad():
            f_right = with_each_replaced(target, others, right, self.chunk_size)
            f_left = with_each_replaced(target, base, left, self.chunk_size)
            f_maxwell = with_each_replaced(target, others, maxwell, self.chunk_size)
            by_loc = (f_right - f_left).mean(0) / (scale * math.sqrt(2.0 * math.pi))
            by_scale = (f_maxwell - f.detach().unsqueeze(-1)).mean(0) / scale
        objective = target.bound.value(f) + carry((by_loc * loc + by_scale * scale).sum(-1))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    def _bernoulli(self, target: Expectation) -> Estimate:
        logits = latents.logits_of(target.q)
        with torch.no_grad():
            bits = (torch.logit(self.draw(target.q)) < logits).to(logits.dtype)
        f = target.values(bits[0])
        with torch.no_grad():
            difference = self._difference(target, bits, f.detach().unsqueeze(-1)).mean(0)
            gradient = bernoulli_variance(logits) * difference
        objective = target.bound.value(f) + carry((gradient * logits).sum(-1))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    @abstractmethod
    def _laws(self, normals: Tensor) -> _Laws:
        # From independent standard normals `[num_normals, K, *B, D]`.
        ...

    @abstractmethod
    def _difference(self, target: Expectation, bits: Tensor, f: Tensor) -> Tensor:
        # f(z_d = 1) - f(z_d = 0) `[K, *B, D]` from samples `[num_uniforms, K, *B, D]` and f at the first, `[K, *B, 1]`.
        ...


def _maxwell(normals: Tensor) -> Tensor:
    # The length of a normal vector of three, with the sign of its first coordinate. Given the length that coordinate is
    # uniform between 0 and it, so that the first normal is this one shrunk: the coupling of the two laws.
    return torch.copysign(normals.square().sum(0).sqrt(), normals[0])


def _weibull(normals: Tensor) -> Tensor:
    # The length of a normal vector of two.
    return normals.square().sum(0).sqrt()


@final
class MeasureValued(_WeakDerivative):
    """The measure-valued derivative, its positive and its negative part sampled independently.

    d/dloc    (f(loc + scale w) - f(loc - scale w')) / (scale sqrt(2 pi)),  w Weibull
    d/dscale  (f(loc + scale m) - f(loc + scale eps)) / scale,              m double-sided Maxwell, eps normal
    d/dp      f(1) - f(0), of a bit                                                  [*B, D]

    Unbiased; factorised Normal or Bernoulli; f may be a black box. K (3 D + 1) evaluations of f for Normal, K (2 D + 1)
    for Bernoulli, all but K of them without a gradient and in chunks. The negative law of the scale is q itself: one
    evaluation serves all D, and the value.
    Mohamed et al. (2020), arXiv 1906.10652, section 6.

    Args:
        num_samples: K, samples per datum: the value is their mean.
        chunk_size: in how many latents the K samples are changed at once; memory grows with it.

    Raises:
        ValueError: if `num_samples` or `chunk_size` is below 1.
    """

    num_normals = 9
    num_uniforms = 2

    def __init__(self, *, num_samples: int = 1, chunk_size: int = 32) -> None:
        super().__init__(num_samples=num_samples, chunk_size=chunk_size)

    def evaluations(self, q: Distribution) -> int:
        """Each sample, and both parts for each latent and parameter; the scale's negative part is the sample."""
        per_latent = 2 if family(q) is Bernoulli else 3
        return int(self.num_samples * (per_latent * q.event_shape[0] + 1))

    def _laws(self, normals: Tensor) -> _Laws:
        return _Laws(normals[0], normals[1], _maxwell(normals[2:5]), _weibull(normals[5:7]), -_weibull(normals[7:9]))

    def _difference(self, target: Expectation, bits: Tensor, f: Tensor) -> Tensor:  # noqa: ARG002
        ones = with_each_replaced(target, bits[1], torch.ones_like(bits[1]), self.chunk_size)
        return ones - with_each_replaced(target, bits[0], torch.zeros_like(bits[0]), self.chunk_size)


@final
class CoupledMeasureValued(_WeakDerivative):
    """The measure-valued derivative, its two parts made from the same noise.

    d/dloc    (f(loc + scale w) - f(loc - scale w)) / (scale sqrt(2 pi)),   w Weibull
    d/dscale  (f(loc + scale m) - f(loc + scale m u)) / scale,              m double-sided Maxwell, u uniform
    d/dp      f(1) - f(0), of a bit                                                  [*B, D]

    Both parts share their other latents. Unbiased; factorised Normal or Bernoulli; f may be a black box. K (3 D + 1)
    evaluations of f for Normal, K (D + 1) for Bernoulli, where it is LocalExpectation; all but K of them without a
    gradient and in chunks. For d/dloc the coupling helps where the part of f that is even about loc varies more than
    the odd one, and hurts where it is the other way round.
    Mohamed et al. (2020), arXiv 1906.10652, section 6.

    Args:
        num_samples: K, samples per datum: the value is their mean.
        chunk_size: in how many latents the K samples are changed at once; memory grows with it.

    Raises:
        ValueError: if `num_samples` or `chunk_size` is below 1.
    """

    num_normals = 5
    num_uniforms = 1

    def __init__(self, *, num_samples: int = 1, chunk_size: int = 32) -> None:
        super().__init__(num_samples=num_samples, chunk_size=chunk_size)

    def evaluations(self, q: Distribution) -> int:
        """Each sample, and its other versions: three for each normal latent, one for each bit."""
        per_latent = 1 if family(q) is Bernoulli else 3
        return int(self.num_samples * (per_latent * q.event_shape[0] + 1))

    def _laws(self, normals: Tensor) -> _Laws:
        weibull = _weibull(normals[3:5])
        return _Laws(normals[0], normals[0], _maxwell(normals[0:3]), weibull, -weibull)

    def _difference(self, target: Expectation, bits: Tensor, f: Tensor) -> Tensor:
        change = with_each_replaced(target, bits[0], 1.0 - bits[0], self.chunk_size) - f
        return (1.0 - 2.0 * bits[0]) * change
