"""Estimators that change one latent of a sample at a time: the value of f had that latent come out otherwise."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family, samples
from reparam_suite.estimators import latents
from reparam_suite.estimators.antithetic import antithetic_pairs, disarm_gradient
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, uniform
from reparam_suite.estimators.bounds import Average
from reparam_suite.runtime.checks import even, integer, number


def with_each_replaced(target: Expectation, z: Tensor, replacement: Tensor, chunk_size: int) -> Tensor:
    """f at z with latent d alone taken from `replacement`, for every d, `[K, *B, D]`; no gradient, in chunks of d."""
    num_latents, *classes = target.q.event_shape
    chosen = torch.eye(num_latents, dtype=torch.bool, device=z.device)
    chosen = chosen.reshape(num_latents, *(1,) * (z.dim() - 1 - len(classes)), num_latents, *(1,) * len(classes))
    with torch.no_grad():
        parts = [
            target.values(torch.where(chunk, replacement, z).flatten(0, 1)).detach()
            for chunk in chosen.split(chunk_size)
        ]
    values: Tensor = torch.cat(parts).unflatten(0, (num_latents, len(z)))
    return values.movedim(0, -1)


def bernoulli_variance(logits: Tensor) -> Tensor:
    """dp / dlogits = p (1 - p), without a cancellation at either end."""
    return logits.sigmoid() * (-logits).sigmoid()


def _one_of(members: Tensor, u: Tensor) -> Tensor:
    # One member, uniformly chosen by u `[K, *B]`, of each set `[*B, D]`, as `[K, *B, D]`; none of an empty set.
    rank = torch.minimum((u * members.sum(-1)).floor(), members.sum(-1) - 1.0)
    return members & (members.cumsum(-1) - 1 == rank.unsqueeze(-1))


def _bit_flip_gradient(target: Expectation, z: Tensor, f: Tensor, members: Tensor, u: Tensor) -> Tensor:
    # n p_i (1 - p_i) (f(b_i = 1) - f(b_i = 0)) `[K, *B, D]` for one i of n members, and 0 elsewhere.
    chosen = _one_of(members, u)
    with torch.no_grad():
        change = target.values(torch.where(chosen, 1.0 - z, z)).detach() - f
    slope = bernoulli_variance(latents.logits_of(target.q).detach())
    return members.sum(-1, keepdim=True) * slope * chosen * (1.0 - 2.0 * z) * change.unsqueeze(-1)


@final
class BitFlip(GradientEstimator):
    """bitflip-1: one latent of each sample, chosen uniformly, is flipped.

    D p_i (1 - p_i) (f(b_i = 1) - f(b_i = 0)) for the chosen i, 0 elsewhere          [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. 2 K evaluations of f, K of them without a gradient.
    Measured by the gradient its noise stays what it is as p goes to 0 or 1, where that of DisARM grows without bound.
    Kunes et al. (2022), arXiv 2208.06124.

    Args:
        num_samples: K, samples per datum: the value is their mean.

    Raises:
        ValueError: if `num_samples` is below 1.
    """

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)

    def fits(self, q: Distribution) -> str | None:
        """D independent bits."""
        return latents.bits(q)

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """Each sample, and the sample with one bit flipped."""
        return 2 * self.num_samples

    def draw(self, q: Distribution) -> tuple[Tensor, Tensor]:
        """Uniforms: one a bit, `[K, *B, D]`, and one that chooses which is flipped, `[K, *B]`."""
        logits = latents.logits_of(q)
        shape = (self.num_samples, *logits.shape)
        return uniform(shape, logits), uniform(shape[:-1], logits)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the samples, carrying the differences that the flips make."""
        logits = latents.logits_of(target.q)
        with torch.no_grad():
            u, choice = self.draw(target.q)
            z = (torch.logit(u) < logits).to(logits.dtype)
        f = target.values(z)
        everyone = torch.ones_like(logits, dtype=torch.bool)
        gradient = _bit_flip_gradient(target, z, f.detach(), everyone, choice).mean(0)
        objective = target.bound.value(f) + carry((gradient * logits).sum(-1))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class UGC(GradientEstimator):
    """Unbiased gradient variance clipping: bitflip-1 for the latents whose rarer value is rare, DisARM for the others.

    n p_i (1 - p_i) (f(b_i = 1) - f(b_i = 0)) for one i of the n latents with min(p, 1 - p) < threshold,
    1/2 (f(b) - f(b')) (b - b') sigmoid(|logits|) for the rest, averaged over pairs  [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. 3 K / 2 evaluations of f, K even, K / 2 of them without a
    gradient. Where f changes by c when the bit does, the second moments are n m^2 (1 - m)^2 c^2 and m (1 - m)^2 c^2 / 2
    with m = min(p, 1 - p): bitflip-1 is the better below m = 1 / (2 n), hence the default 1 / (2 D). The threshold does
    not look at the sample, and so leaves the estimator unbiased.
    Kunes et al. (2022), arXiv 2208.06124.

    Args:
        num_samples: K, samples per datum, two in a pair: the value is their mean.
        threshold: below which min(p, 1 - p) is rare, in [0, 1]; 1 / (2 D) if none is given.

    Raises:
        ValueError: if `num_samples` is odd or below 2, or `threshold` is outside [0, 1].
    """

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 2, threshold: float | None = None) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        even(f"num_samples of {type(self).__name__}", self.num_samples)
        self.threshold = (
            None if threshold is None else number(f"threshold of {type(self).__name__}", threshold, least=0.0, most=1.0)
        )

    def fits(self, q: Distribution) -> str | None:
        """D independent bits."""
        return latents.bits(q)

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """Each pair, and its first sample with one bit flipped."""
        return 3 * self.num_samples // 2

    def draw(self, q: Distribution) -> tuple[Tensor, Tensor]:
        """Uniforms: one a pair and latent, `[K/2, *B, D]`, and one that chooses which is flipped, `[K/2, *B]`."""
        logits = latents.logits_of(q)
        shape = (self.num_samples // 2, *logits.shape)
        return uniform(shape, logits), uniform(shape[:-1], logits)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over both samples of all pairs, carrying the one estimate or the other latent by latent."""
        logits = latents.logits_of(target.q)
        with torch.no_grad():
            u, choice = self.draw(target.q)
            z = antithetic_pairs(logits, u)
            threshold = 0.5 / logits.shape[-1] if self.threshold is None else self.threshold
            is_rare = (-logits.abs()).sigmoid() < threshold
        f = target.values(z.flatten(0, 1))
        pairs = f.detach().unflatten(0, z.shape[:2])
        flipped = _bit_flip_gradient(target, z[0], pairs[0], is_rare, choice)
        gradient = torch.where(is_rare, flipped, disarm_gradient(pairs, z, logits.detach())).mean(0)
        objective = target.bound.value(f) + carry((gradient * logits).sum(-1))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class LocalExpectation(GradientEstimator):
    """The exact expectation over each latent in turn, the other latents being sampled.

    p_d (1 - p_d) (f(z_d = 1) - f(z_d = 0))                                          [*B, D]
    pi_dc (f(z_d = c) - sum_j pi_dj f(z_d = j))                                      [*B, D, C]

    Unbiased; factorised Bernoulli or categorical; f may be a black box; no variance if f is a sum over latents.
    K (D + 1) or K (D (C - 1) + 1) evaluations of f, all but K of them without a gradient and in chunks.
    Titsias & Lazaro-Gredilla (2015), arXiv 1503.01494; on categorical latents this is IndeCateR, De Smet, Sansone &
    Zuidberg Dos Martires (2023), arXiv 2311.12569.

    Args:
        num_samples: K, samples per datum: the value is their mean.
        chunk_size: in how many latents the K samples are changed at once; memory grows with it.

    Raises:
        ValueError: if `num_samples` or `chunk_size` is below 1.
    """

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1, chunk_size: int = 32) -> None:
        super().__init__(num_samples=num_samples)
        self.chunk_size = integer(f"chunk_size of {type(self).__name__}", chunk_size, least=1)

    def fits(self, q: Distribution) -> str | None:
        """D independent bits or one-hot latents."""
        return latents.bits_or_one_hot(q)

    def evaluations(self, q: Distribution) -> int:
        """Each sample, and each of its latents at every other value."""
        num_others = 1 if family(q) is Bernoulli else q.event_shape[-1] - 1
        return int(self.num_samples * (q.event_shape[0] * num_others + 1))

    def draw(self, q: Distribution) -> Tensor:
        """K samples without a gradient, `[K, *B, D]` or `[K, *B, D, C]`."""
        return samples(q, self.num_samples)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the samples, carrying the expectation over one latent at a time."""
        logits = latents.logits_of(target.q)
        with torch.no_grad():
            z = self.draw(target.q)
        f = target.values(z)
        slopes = self._bernoulli if family(target.q) is Bernoulli else self._categorical
        with torch.no_grad():
            gradient = slopes(target, z, f.detach().unsqueeze(-1), logits).mean(0)
        score_term = (gradient * logits).flatten(-len(target.q.event_shape)).sum(-1)
        objective = target.bound.value(f) + carry(score_term)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    def _bernoulli(self, target: Expectation, z: Tensor, f: Tensor, logits: Tensor) -> Tensor:
        change = with_each_replaced(target, z, 1.0 - z, self.chunk_size) - f
        return bernoulli_variance(logits) * (1.0 - 2.0 * z) * change

    def _categorical(self, target: Expectation, z: Tensor, f: Tensor, logits: Tensor) -> Tensor:
        change = torch.zeros_like(z)  # f(z_d = c) - f(z); the class moves on by 1, .., C - 1
        for shift in range(1, z.shape[-1]):
            moved = z.roll(shift, -1)
            change += moved * (with_each_replaced(target, z, moved, self.chunk_size) - f).unsqueeze(-1)
        pi = logits.exp()
        return pi * (change - (pi * change).sum(-1, keepdim=True))
