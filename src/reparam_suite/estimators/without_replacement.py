"""Estimators from distinct states of all latents together, never met by enumerating their C^D combinations."""

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.estimators.base import (
    Estimate,
    Expectation,
    GradientEstimator,
    carry,
    require_at_least,
    uniform,
)
from reparam_suite.estimators.bounds import Average
from reparam_suite.variational import OneHotCategorical, family, parameters


@final
class UnorderedSet(GradientEstimator):
    """K distinct states, weighted by how probable each is to have come first given the set S of them.

    sum_{s in S} w_s (f(s) - b_s) grad log q(s),  w_s = q(s) P(S without s | s excluded) / P(S)      [*B]

    b_s estimates E[f] with s taken as known: q(s) f(s) + (1 - q(s)) sum_s' w_s'|s f(s'). Unbiased, and without noise
    when S is every state; factorised discrete; f may be a black box. K evaluations of f.
    Kool, van Hoof & Welling (2020), arXiv 2002.06043, sections 3 and 4.

    Args:
        num_samples: K, distinct states a datum.

    Raises:
        ValueError: if `num_samples` is below 2, or above the number of states.
    """

    families = (Bernoulli, OneHotCategorical)
    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 4) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)

    def check(self, target: Expectation) -> None:
        """Refuses more distinct states than there are as well."""
        super().check(target)
        _require_states(self, "num_samples", self.num_samples, target.q)

    def draw(self, q: Distribution) -> tuple[Tensor, Tensor]:
        """K values of every latent, `[K, *B, D]`, no two alike, and the log-probability of all other states `[*B]`."""
        rest = _Remainder(_log_probabilities(q), self.num_samples)
        for _ in range(self.num_samples):
            rest.take(rest.draw(1).squeeze(0))
        return rest.taken.movedim(-2, 0), rest.log_mass()

    def estimate(self, target: Expectation) -> Estimate:
        """The weighted sum, carrying weighted credit times score."""
        with torch.no_grad():
            taken, log_rest = self.draw(target.q)
        z = _embedded(target.q, taken)
        f, log_q = target.values(z), target.q.log_prob(z)
        weight, others = _first_of_a_set(log_q.detach(), log_rest)
        weight = _without_dust(weight)
        expected = (others * f.detach()).sum(1)  # [K, K of the sum, *B]
        credit = -torch.expm1(log_q.detach()) * (f.detach() - expected)
        score_term = (weight * credit * log_q).sum(0)
        return Estimate(objective=(weight * f).sum(0) + carry(score_term), control_loss=f.new_zeros(()))


@final
class SumAndSample(GradientEstimator):
    """The most probable states summed as they are, the rest sampled.

    sum_{s in M} q(s) (f(s) - b) grad log q(s) + q(not M) 1/K sum_k (f(z_k) - b_k) grad log q(z_k)   [*B]

    z_k ~ q outside M, the `num_summed` most probable states of all latents together; b_k = sum_M q f + q(not M) times
    the mean f of the other samples, or for a single sample the mean over M; b is the mean of b_k. Unbiased, and without
    noise when M is every state; factorised discrete; f may be a black box. num_summed + K evaluations of f.
    Liu et al. (2019), arXiv 1810.04777; the baselines are ours.

    Args:
        num_samples: K, samples a datum from outside M.
        num_summed: states in M.

    Raises:
        ValueError: if either is below 1, or if q has fewer than `num_summed` states.
    """

    families = (Bernoulli, OneHotCategorical)
    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1, num_summed: int = 3) -> None:
        super().__init__(num_samples=num_samples)
        require_at_least(self, "num_summed", num_summed, 1)
        self.num_summed = num_summed

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """The states that are summed, and the samples."""
        return self.num_summed + self.num_samples

    def check(self, target: Expectation) -> None:
        """Refuses to sum more states than there are as well."""
        super().check(target)
        _require_states(self, "num_summed", self.num_summed, target.q)

    def draw(self, q: Distribution) -> tuple[Tensor, Tensor]:
        """Every latent's values, first of M, then of K samples outside `[M + K, *B, D]`; log q(not M) `[*B]`."""
        log_p = _log_probabilities(q)
        rest = _Remainder(log_p, self.num_summed)
        for state in most_probable(log_p, self.num_summed):
            rest.take(state)
        return torch.cat([rest.taken.movedim(-2, 0), rest.draw(self.num_samples)]), rest.log_mass()

    def estimate(self, target: Expectation) -> Estimate:
        """The sum and the mean of the rest, carrying weighted credit times score."""
        with torch.no_grad():
            taken, log_rest = self.draw(target.q)
        z = _embedded(target.q, taken)
        f, log_q = target.values(z), target.q.log_prob(z)
        q_rest = log_rest.exp().to(f.dtype)
        log_summed = log_q.detach()[: self.num_summed]
        weight = torch.cat([log_summed.exp(), (q_rest / self.num_samples).expand(self.num_samples, *q_rest.shape)])
        weight = _without_dust(weight)
        baseline = self._baseline(f.detach(), log_summed, q_rest)
        score_term = (weight * (f.detach() - baseline) * log_q).sum(0)
        return Estimate(objective=(weight * f).sum(0) + carry(score_term), control_loss=f.new_zeros(()))

    def _baseline(self, f: Tensor, log_summed: Tensor, q_rest: Tensor) -> Tensor:
        f_summed, f_rest = f.split([self.num_summed, self.num_samples])
        total = (log_summed.exp() * f_summed).sum(0)
        if self.num_samples > 1:
            others = (f_rest.sum(0) - f_rest) / (self.num_samples - 1)
        else:
            others = (log_summed.softmax(0) * f_summed).sum(0, keepdim=True)
        of_a_sample = total + q_rest * others
        return torch.cat([of_a_sample.mean(0, keepdim=True).expand_as(f_summed), of_a_sample])


# ------------------------------------------------------------------------------------------------ states of all latents


def _log_probabilities(q: Distribution) -> Tensor:
    # Of each value of each latent, [*B, D, C], C = 2 for bits; float64, for sums over many latents.
    logits = parameters(q)["logits"].detach().double()
    if family(q) is Bernoulli:
        return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], -1)
    return logits.log_softmax(-1)


def _embedded(q: Distribution, values: Tensor) -> Tensor:
    # Which value each latent takes, [K, *B, D], as z.
    logits = parameters(q)["logits"]
    return (values if family(q) is Bernoulli else F.one_hot(values, logits.shape[-1])).to(logits.dtype)


def _without_dust(weight: Tensor) -> Tensor:
    # Weights next to nothing beside a total of 1 are made 0: the subnormal numbers that f's backward pass would make of
    # them take ten times as long.
    return torch.where(weight < torch.finfo(weight.dtype).eps ** 2, 0.0, weight)


def _require_states(estimator: GradientEstimator, option: str, wanted: int, q: Distribution) -> None:
    num_values = 2 if family(q) is Bernoulli else q.event_shape[-1]
    num_states = num_values ** q.event_shape[0]
    if wanted > num_states:
        shape = "x".join(map(str, q.event_shape))
        raise ValueError(
            f"{option} of {type(estimator).__name__} must be at most the number of states, {num_states} for latents of "
            f"shape {shape}, got {wanted}"
        )


def most_probable(log_p: Tensor, num_states: int) -> Tensor:
    """The most probable states of independent latents, best first: `[K, *B, D]` from log-probabilities `[*B, D, C]`.

    Each state is the mode with some latents changed, at a cost in log-probability. A change is in one of the K best
    only if it is among the K - 1 cheapest: else the mode and those, one at a time, are better. The K cheapest sets of
    changes are then found change by change. Exact.
    """
    num_latents, num_values = log_p.shape[-2:]
    best, mode = log_p.max(-1)
    costs = (best.unsqueeze(-1) - log_p).scatter(-1, mode.unsqueeze(-1), math.inf).flatten(-2)
    num_changes = min(num_states - 1, num_latents * (num_values - 1))
    cost, change = costs.topk(num_changes, largest=False)
    latent, value = change // num_values, change % num_values
    total = best.new_zeros(*best.shape[:-1], 1)
    members = torch.zeros(*total.shape, num_changes, dtype=torch.bool, device=log_p.device)  # [*B, sets, changes]
    for i in range(num_changes):
        clash = (members & (latent == latent[..., i : i + 1]).unsqueeze(-2)).any(-1)
        total = torch.cat([total, (total + cost[..., i : i + 1]).masked_fill(clash, math.inf)], -1)
        this = torch.arange(num_changes, device=log_p.device) == i
        members = torch.cat([members, members | this], -2)
        total, kept = total.topk(min(num_states, total.shape[-1]), largest=False)
        members = members.gather(-2, kept.unsqueeze(-1).expand(*kept.shape, num_changes))
    changed = torch.full((*total.shape, num_latents), -1, dtype=torch.long, device=log_p.device)
    values = torch.where(members, value.unsqueeze(-2), -1)
    changed = changed.scatter_reduce(-1, latent.unsqueeze(-2).expand_as(values), values, "amax")
    return torch.where(changed < 0, mode.unsqueeze(-2), changed).movedim(-2, 0)


class _Remainder:
    # The states that are left when some are taken. Each leaves a taken state i at some latent d: it agrees with i
    # before d and has a value at d that no taken state with this beginning has. `open[.., i, d]` is the log-probability
    # of all that leave so, -inf where an earlier i has the same beginning or no value is left. These sets are disjoint
    # and cover what is left, and no probability is found as 1 minus others. A step costs O(K D + D C), parallel over D.
    def __init__(self, log_p: Tensor, capacity: int) -> None:
        *batch, num_latents, _ = log_p.shape
        self.log_p = log_p
        self.cumulative = log_p[..., :-1].movedim(-1, 0).exp().cumsum(0)  # [C - 1, *B, D]
        self.log_others = _log_of_the_others(log_p)
        self.place = torch.arange(num_latents, device=log_p.device)
        self.num_taken = 0
        self.taken = torch.zeros(*batch, capacity, num_latents, dtype=torch.long, device=log_p.device)
        self.differ_at = torch.full((*batch, capacity, capacity), -1, device=log_p.device)  # first latent, by pair
        self.log_prefix = log_p.new_zeros(*batch, capacity, num_latents)
        self.open = torch.full_like(self.log_prefix, -math.inf)
        self.rows = self.open[..., 0].clone()  # the sum of each state's

    def log_mass(self) -> Tensor:
        # The log-probability of all that is left, [*B].
        return self.rows.logsumexp(-1)

    def draw(self, num_samples: int) -> Tensor:
        # Independent samples of q given that they are not taken, [K, *B, D].
        u = uniform((num_samples, *self.log_p.shape[:-1]), self.log_p)
        anything = (u.unsqueeze(1) > self.cumulative).sum(1)
        if not self.num_taken:
            return anything
        row = _categorical(self.rows.expand(num_samples, *self.rows.shape)).unsqueeze(-1)
        latent = _categorical(_at(self.open, row)).unsqueeze(-1)
        value = _categorical(self._values_left(row, latent)).unsqueeze(-1)
        state = torch.where(self.place < latent, _at(self.taken, row), anything)
        return torch.where(self.place == latent, value, state)

    def take(self, state: Tensor) -> None:
        # A state [*B, D] that is still left.
        new, own = self.num_taken, state.unsqueeze(-1)
        log_own = self.log_p.gather(-1, own).squeeze(-1)
        log_prefix = F.pad(log_own[..., :-1].cumsum(-1), (1, 0))
        open_at = log_prefix + self.log_others.gather(-1, own).squeeze(-1)
        self.taken[..., new, :] = state
        self.log_prefix[..., new, :] = log_prefix
        if new:
            # It leaves the others where it first differs from the closest of them. The beginning before is counted with
            # the first of those, which has a value less left there now.
            differ_at = (self.taken[..., :new, :] == state.unsqueeze(-2)).long().cumprod(-1).sum(-1)
            self.differ_at[..., new, :new] = self.differ_at[..., :new, new] = differ_at
            closest = differ_at.argmax(-1, keepdim=True)
            latent = differ_at.gather(-1, closest)
            open_at = open_at.masked_fill(self.place <= latent, -math.inf)
        self.differ_at[..., new, new] = len(self.place)
        self._write(torch.full_like(own[..., 0, :], new), open_at)
        if new:
            at_latent = _at(self.log_prefix, closest).gather(-1, latent)
            left = at_latent + self._values_left(closest, latent).logsumexp(-1, keepdim=True)
            self._write(closest, _at(self.open, closest).scatter(-1, latent, left))
        self.num_taken += 1

    def _values_left(self, row: Tensor, latent: Tensor) -> Tensor:
        # The log-probability [.., *B, C] of each value that leaves state `row` [.., *B, 1] at `latent` [.., *B, 1].
        alike = _at(self.differ_at, row) >= latent  # [.., *B, K]
        values = _at(self.taken.mT, latent)
        held = (F.one_hot(values, self.log_p.shape[-1]).bool() & alike.unsqueeze(-1)).any(-2)
        return _at(self.log_p, latent).masked_fill(held, -math.inf)

    def _write(self, row: Tensor, open_at: Tensor) -> None:
        self.open.scatter_(-2, row.unsqueeze(-1).expand_as(open_at.unsqueeze(-2)), open_at.unsqueeze(-2))
        self.rows.scatter_(-1, row, open_at.logsumexp(-1, keepdim=True))


def _log_of_the_others(log_p: Tensor) -> Tensor:
    # log(1 - p) of each value from the log-probabilities of all, [*B, D, C]: by the sum over the others for the most
    # probable one, whose log p may be 0 to rounding; the others are at most 1/2.
    by_value = log_p.movedim(-1, 0).contiguous()  # reductions over a short last axis are slow
    likely, mode = by_value.max(0, keepdim=True)
    of_mode = by_value.scatter(0, mode, -math.inf).logsumexp(0)
    return torch.where(by_value == likely, of_mode, (-torch.expm1(by_value)).log()).movedim(0, -1)


def _at(table: Tensor, row: Tensor) -> Tensor:
    # table [*B, N, M] at row [.., *B, 1]: [.., *B, M].
    index = row.unsqueeze(-1).expand(*row.shape, table.shape[-1])
    return table.expand(*row.shape[:-1], *table.shape[-2:]).gather(-2, index).squeeze(-2)


def _categorical(log_mass: Tensor) -> Tensor:
    # Which of the last axis is drawn, in proportion to exp(log_mass): the largest after Gumbel noise.
    return (log_mass - (-uniform(log_mass.shape, log_mass).log()).log()).argmax(-1)


# ----------------------------------------------------------------------------------------------------- weights of a set


def _first_of_a_set(log_q: Tensor, log_rest: Tensor) -> tuple[Tensor, Tensor]:
    """How probable each state of a set drawn without replacement is to have come first, `[K, *B]`, summing to 1.

    And with s excluded from the start, the same of s' among the others, `[K of s, K of s', *B]`. States come at the
    first events of Poisson processes with rates q(s), all others together with q(rest); in units of 1/q(rest) the set A
    comes before the rest with probability

        P(A) = int_0^inf e^-t prod_{s in A} (1 - e^(-r_s t)) dt,  r_s = q(s) / q(rest),

    and s was the first of S in proportion to q(s) P(S without s). The substitution log t = y - e^-y makes the
    integrand die double-exponentially on both sides; the trapezoid rule then errs by less than 1e-8.
    """
    num_states, dtype = len(log_q), log_q.dtype
    log_q, log_rest = log_q.double(), log_rest.double()
    # t runs from 1e-19 to far beyond the mean K + 1 of its largest peak; the peaks narrow as K grows.
    end = math.log(num_states + 9.0 * math.sqrt(num_states) + 40.0)
    y = torch.linspace(-3.8, end, 64 + num_states // 4, dtype=torch.float64, device=log_q.device)
    y = y.reshape(-1, *(1,) * log_rest.dim())
    log_t = y - (-y).exp()
    log_exponent = log_t.unsqueeze(1) + log_q - log_rest
    # log(1 - exp(-x)) from log x: x itself where it is small.
    small = log_exponent < -30.0
    log_factor = torch.where(small, log_exponent, (-torch.expm1(-log_exponent.clamp(max=30.0).exp())).log())
    log_integrand = log_t - log_t.exp() + torch.log1p((-y).exp()) + log_factor.sum(1)
    without_one = (log_integrand.unsqueeze(1) - log_factor).logsumexp(0)
    weight = (log_q + without_one).softmax(0)
    # The integrand without s and s' is a product of two, each scaled to a largest value of 1.
    half = 0.5 * log_integrand.unsqueeze(1) - log_factor  # [nodes, K, *B]
    largest = half.amax(0)
    scaled = (half - largest).exp().movedim((0, 1), (-1, -2))  # [*B, K, nodes]
    without_two = (scaled @ scaled.mT).log().movedim((-2, -1), (0, 1)) + largest
    own = torch.eye(num_states, dtype=torch.bool, device=log_q.device)
    own = own.reshape(num_states, num_states, *(1,) * log_rest.dim())
    others = (log_q + without_two).masked_fill(own, -math.inf).softmax(1)
    return weight.to(dtype), others.to(dtype)
