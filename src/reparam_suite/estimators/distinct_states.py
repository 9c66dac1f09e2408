"""States of all latents together, and what is left when some are taken, without enumerating their C^D combinations."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import uniform


def log_probabilities(q: Distribution) -> Tensor:
    """Of each value of each latent, `[*B, D, C]`, C = 2 for bits; float64, for sums over many latents."""
    logits = latents.logits_of(q).detach().double()
    if family(q) is Bernoulli:
        of_likelier = torch.log1p((-logits.abs()).exp())
        return torch.stack([(-logits).clamp_max(0.0) - of_likelier, logits.clamp_max(0.0) - of_likelier], -1)
    top, mode = logits.max(-1, keepdim=True)
    others = (logits - top).exp().scatter(-1, mode, 0.0).sum(-1, keepdim=True)  # beside a 1: right for any certainty
    return logits - top - torch.log1p(others)


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


class _Ways(NamedTuple):
    # The ways to leave the taken states, N of them: each is to leave the path of one state at a latent of a stretch.
    row: Tensor  # the state that is left, [*B, N]
    begin: Tensor  # the first latent of the stretch, [*B, N]
    end: Tensor  # the latent after its last, [*B, N]
    log_before: Tensor  # log q of the latents before the stretch, [*B, N]
    log_share: Tensor  # log of the part of those states that leaves there, [*B, N]

    @property
    def log_mass(self) -> Tensor:
        return self.log_before + self.log_share

    def and_one(self, *way: Tensor) -> "_Ways":
        return _Ways(*(torch.cat(pair, -1) for pair in zip(self, way, strict=True)))


@final
class Remainder:
    """The states that are left when some are taken.

    Those form a tree: a state follows the path of the closest state taken before, branches off at one latent and goes
    on alone. All that is left leaves this tree: on a stretch of a path between two branchings, which has mass
    q(beginning) (1 - q(stretch)), or at a branching, with a value that no taken state has there. These sets are
    disjoint and cover what is left. The log q of a stretch is a sum over it and never a difference of two longer ones,
    so that no mass is lost however certain its latents are. A step costs O(D) and little more.

    Args:
        log_p: of each value of each latent, `[*B, D, C]`.
        capacity: how many states will be taken at most.
    """

    def __init__(self, log_p: Tensor, capacity: int) -> None:
        *batch, num_latents, _ = log_p.shape
        self.log_p = log_p
        self.cumulative = log_p[..., :-1].movedim(-1, 0).exp().cumsum(0).float()  # [C - 1, *B, D]
        self.place = torch.arange(num_latents, device=log_p.device)
        axes = (torch.arange(size, device=log_p.device) for size in batch)
        self.datum = torch.meshgrid(*axes, indexing="ij") if batch else ()  # the index of each in *B
        self.from_end = (num_latents - self.place).float()
        self.num_taken = 0
        self.taken = torch.zeros(*batch, capacity, num_latents, dtype=torch.long, device=log_p.device)
        self.log_own = log_p.new_zeros(*batch, capacity, num_latents)  # of each latent's value
        self.differ_at = torch.full((*batch, capacity, capacity), num_latents, device=log_p.device)  # by pair
        none, of_none = self.taken[..., :0, 0], log_p[..., :0, 0]
        self.stretches = self.branchings = _Ways(none, none, none, of_none, of_none)

    def log_mass(self) -> Tensor:
        """The log-probability of all that is left, `[*B]`."""
        return self._ways().log_mass.logsumexp(-1)

    def draw(self, num_samples: int) -> Tensor:
        """Independent samples of q given that they are not taken, `[K, *B, D]`."""
        u = uniform((num_samples, *self.log_p.shape[:-1]), self.cumulative)
        anything = (u.unsqueeze(1) > self.cumulative).sum(1)
        if not self.num_taken:
            return anything
        ways = self._ways()
        way = _categorical(ways.log_mass.expand(num_samples, *ways.row.shape)).unsqueeze(-1)
        row, begin, end = (_at(cut, way) for cut in ways[:3])
        # The first latent of the stretch with which the path loses a share of all that it loses there.
        share = uniform(way.shape, self.log_p)
        log_path = self._within(self._row(self.log_own, row), begin, end).cumsum(-1)
        stays = log_path > torch.log1p(share * torch.expm1(log_path[..., -1:]))
        latent = torch.minimum(torch.maximum(stays.sum(-1, keepdim=True), begin), end - 1).clamp_min(0)
        path = self._row(self.taken, row)
        if self.log_p.shape[-1] == 2:
            value = 1 - path.gather(-1, latent)
        else:
            value = _categorical(self._values_left(row, latent)).unsqueeze(-1)
        return torch.where(self.place < latent, path, anything).scatter_(-1, latent, value)

    def take(self, state: Tensor) -> None:
        """Takes a state `[*B, D]` that is still left."""
        new, num_latents = self.num_taken, len(self.place)
        own = self.log_p.gather(-1, state.unsqueeze(-1)).squeeze(-1)
        last = torch.full_like(state[..., :1], num_latents)
        start, before = torch.zeros_like(last), torch.zeros_like(own[..., :1])
        if new:
            differ = self.taken[..., :new, :] != state.unsqueeze(-2)
            differ_at = num_latents - (differ * self.from_end).amax(-1).long()
            self.differ_at[..., new, :new] = self.differ_at[..., :new, new] = differ_at
            latent, closest = differ_at.max(-1, keepdim=True)
            start, before = latent + 1, (own * (self.place <= latent)).sum(-1, keepdim=True)
            self._branch(closest, latent, before - own.gather(-1, latent))
        share = self._log_lost(own, start, last)
        self.stretches = self.stretches.and_one(torch.full_like(last, new), start, last, before, share)
        self.taken[..., new, :] = state
        self.log_own[..., new, :] = own
        self.num_taken += 1

    def _branch(self, row: Tensor, latent: Tensor, log_before: Tensor) -> None:
        # Cuts the stretch of `row` that `latent` is in, all [*B, 1]; none if another state has branched off there.
        ways, own = self.stretches, self._row(self.log_own, row)
        cut = (ways.row == row) & (ways.begin <= latent) & (latent < ways.end)
        begin, end = ((cut * ends).sum(-1, keepdim=True) for ends in (ways.begin, ways.end))
        share = torch.where(cut, self._log_lost(own, begin, latent), ways.log_share)
        kept = ways._replace(end=torch.where(cut, latent, ways.end), log_share=share)
        after = latent + 1
        self.stretches = kept.and_one(
            row, after, end, log_before + own.gather(-1, latent), self._log_lost(own, after, end)
        )
        before = log_before.masked_fill(~cut.any(-1, keepdim=True), -math.inf)
        self.branchings = self.branchings.and_one(row, latent, after, before, torch.zeros_like(before))

    def _ways(self) -> _Ways:
        row, at, *_ = ways = self.branchings
        if self.log_p.shape[-1] == 2 or self.num_taken < 2:  # both values of a bit that branches are taken
            return self.stretches
        left = self._values_left(row.movedim(-1, 0).unsqueeze(-1), at.movedim(-1, 0).unsqueeze(-1))
        return self.stretches.and_one(*ways._replace(log_share=left.logsumexp(-1).movedim(0, -1)))

    def _within(self, own: Tensor, begin: Tensor, end: Tensor) -> Tensor:
        # Log-probabilities [.., *B, D] at latents from begin to end, 0 elsewhere.
        return own * ((self.place >= begin) & (self.place < end))

    def _log_lost(self, own: Tensor, begin: Tensor, end: Tensor) -> Tensor:
        # log(1 - q(stretch)), [*B, 1].
        return (-torch.expm1(self._within(own, begin, end).sum(-1, keepdim=True))).log()

    def _values_left(self, row: Tensor, latent: Tensor) -> Tensor:
        # The log-probability [.., *B, C] of each value that leaves state `row` [.., *B, 1] at `latent` [.., *B, 1].
        alike = self._row(self.differ_at, row) >= latent  # [.., *B, K]
        values = self._row(self.taken.mT, latent)
        every = torch.arange(self.log_p.shape[-1], device=values.device)
        held = ((values.unsqueeze(-1) == every) & alike.unsqueeze(-1))[..., : self.num_taken, :].any(-2)
        return self._row(self.log_p, latent).masked_fill(held, -math.inf)

    def _row(self, table: Tensor, row: Tensor) -> Tensor:
        # table [*B, N, M] at row [.., *B, 1]: [.., *B, M].
        return table[(*self.datum, row.squeeze(-1))]


def _at(table: Tensor, index: Tensor) -> Tensor:
    # table [*B, N] at index [.., *B, 1]: [.., *B, 1].
    return table.expand(*index.shape[:-1], table.shape[-1]).gather(-1, index)


def _categorical(log_mass: Tensor) -> Tensor:
    # Which of the last axis is drawn, in proportion to exp(log_mass): the largest after Gumbel noise.
    return (log_mass - (-uniform(log_mass.shape, log_mass).log()).log()).argmax(-1)
