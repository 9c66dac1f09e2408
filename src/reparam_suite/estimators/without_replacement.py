"""Estimators from distinct states of all latents together, never met by enumerating their C^D combinations."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family, num_states, score_term
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import (
    Estimate,
    Expectation,
    GradientEstimator,
    carry,
)
from reparam_suite.estimators.bounds import Average
from reparam_suite.estimators.distinct_states import Remainder, log_probabilities, most_probable
from reparam_suite.estimators.first_of_a_set import MOST_IN_SUBSETS, Subsets, first_of_a_set
from reparam_suite.runtime.checks import integer


@final
class UnorderedSet(GradientEstimator):
    """K distinct states, weighted by how probable each is to have come first given the set S of them.

    sum_{s in S} w_s (f(s) - b_s) grad log q(s),  w_s = q(s) P(S without s | s excluded) / P(S)      [*B]

    b_s estimates E[f] with s taken as known: q(s) f(s) + (1 - q(s)) sum_s' w_s'|s f(s'). Unbiased, and without noise
    when S is every state; factorised discrete; f may be a black box. K evaluations of f.
    Kool, van Hoof & Welling (2020), arXiv 2002.06043, sections 3 and 4.

    Args:
        num_samples: K, distinct states per datum.

    Raises:
        ValueError: if `num_samples` is below 2, or above the number of states.
    """

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 4) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        self.subsets = Subsets(self.num_samples) if self.num_samples <= MOST_IN_SUBSETS else None

    def fits(self, q: Distribution) -> str | None:
        """D independent bits or one-hot latents, of at least K states."""
        return _fewer_states("num_samples", self.num_samples, q)

    def draw(self, q: Distribution) -> tuple[Tensor, Tensor]:
        """K values of every latent, `[K, *B, D]`, no two alike, and the log-probability of all other states `[*B]`."""
        rest = Remainder(log_probabilities(q), self.num_samples)
        for _ in range(self.num_samples):
            rest.take(rest.draw(1).squeeze(0))
        return rest.taken.movedim(-2, 0), rest.log_mass()

    def estimate(self, target: Expectation) -> Estimate:
        """The weighted sum, carrying weighted credit times score."""
        with torch.no_grad():
            taken, log_rest = self.draw(target.q)
        z = _embedded(target.q, taken)
        f = target.values(z)
        with torch.no_grad():
            log_q = target.q.log_prob(z)
            weight, others = (self.subsets or first_of_a_set)(log_q, log_rest)
            weight = _without_subnormals(weight)
            expected = (others * f.detach()).sum(1)  # [K, K of the sum, *B]
            credit = -torch.expm1(log_q) * (f.detach() - expected)
        objective = (weight * f).sum(0) + carry(score_term(target.q, z, weight * credit))
        return Estimate(objective=objective, control_loss=f.new_zeros(()))


@final
class SumAndSample(GradientEstimator):
    """The most probable states summed as they are, the rest sampled.

    sum_{s in M} q(s) (f(s) - b) grad log q(s) + q(not M) 1/K sum_k (f(z_k) - b_k) grad log q(z_k)   [*B]

    z_k ~ q outside M, the `num_summed` most probable states of all latents together; b_k = sum_M q f + q(not M) times
    the mean f of the other samples, or for a single sample the mean over M; b is the mean of b_k. Unbiased, and without
    noise when M is every state; factorised discrete; f may be a black box. num_summed + K evaluations of f.
    Liu et al. (2019), arXiv 1810.04777; the baselines are ours.

    Args:
        num_samples: K, samples per datum from outside M.
        num_summed: states in M.

    Raises:
        ValueError: if either is below 1, or if q has fewer than `num_summed` states.
    """

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1, num_summed: int = 3) -> None:
        super().__init__(num_samples=num_samples)
        self.num_summed = integer(f"num_summed of {type(self).__name__}", num_summed, least=1)

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """The states that are summed, and the samples."""
        return self.num_summed + self.num_samples

    def fits(self, q: Distribution) -> str | None:
        """D independent bits or one-hot latents, of at least `num_summed` states."""
        return _fewer_states("num_summed", self.num_summed, q)

    def draw(self, q: Distribution) -> tuple[Tensor, Tensor]:
        """Every latent's values, first of M, then of K samples outside `[M + K, *B, D]`; log q(not M) `[*B]`."""
        log_p = log_probabilities(q)
        rest = Remainder(log_p, self.num_summed)
        for state in most_probable(log_p, self.num_summed):
            rest.take(state)
        return torch.cat([rest.taken.movedim(-2, 0), rest.draw(self.num_samples)]), rest.log_mass()

    def estimate(self, target: Expectation) -> Estimate:
        """The sum and the mean of the rest, carrying weighted credit times score."""
        with torch.no_grad():
            taken, log_rest = self.draw(target.q)
        z = _embedded(target.q, taken)
        f = target.values(z)
        q_rest = log_rest.exp().to(f.dtype)
        with torch.no_grad():
            log_summed = target.q.log_prob(z[: self.num_summed])
        weight = torch.cat([log_summed.exp(), (q_rest / self.num_samples).expand(self.num_samples, *q_rest.shape)])
        weight = _without_subnormals(weight)
        credit = f.detach() - self._baseline(f.detach(), log_summed, q_rest)
        objective = (weight * f).sum(0) + carry(score_term(target.q, z, weight * credit))
        return Estimate(objective=objective, control_loss=f.new_zeros(()))

    def _baseline(self, f: Tensor, log_summed: Tensor, q_rest: Tensor) -> Tensor:
        f_summed, f_rest = f.split([self.num_summed, self.num_samples])
        total = (log_summed.exp() * f_summed).sum(0)
        if self.num_samples > 1:
            others = (f_rest.sum(0) - f_rest) / (self.num_samples - 1)
        else:
            others = (log_summed.softmax(0) * f_summed).sum(0, keepdim=True)
        of_a_sample = total + q_rest * others
        return torch.cat([of_a_sample.mean(0, keepdim=True).expand_as(f_summed), of_a_sample])


def _embedded(q: Distribution, values: Tensor) -> Tensor:
    # Which value each latent takes, [K, *B, D], as z.
    logits = latents.logits_of(q)
    if family(q) is Bernoulli:
        return values.to(logits.dtype)
    return logits.new_zeros(*values.shape, logits.shape[-1]).scatter_(-1, values.unsqueeze(-1), 1.0)


def _without_subnormals(weight: Tensor) -> Tensor:
    # Weights next to nothing beside a total of 1 are made 0: the subnormal numbers that f's backward pass would make of
    # them take ten times as long.
    return torch.where(weight < torch.finfo(weight.dtype).eps ** 2, 0.0, weight)


def _fewer_states(option: str, wanted: int, q: Distribution) -> str | None:
    reason = latents.bits_or_one_hot(q)
    states = num_states(q)
    if reason is not None or states is None or wanted <= states:
        return reason
    shape = "x".join(map(str, q.event_shape))
    return f"{option}: expected at most the number of states, {states} for latents of shape {shape}, got {wanted}"
