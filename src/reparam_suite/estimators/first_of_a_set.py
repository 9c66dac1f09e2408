"""Which of K distinct states, drawn without replacement, came first: given the set of them, and given it and the first.

log_q `[K, *B]` has the log-probabilities of the states, log_rest `[*B]` that of all others together.
"""

import math
from itertools import combinations
from typing import final

import torch
from torch import Tensor, nn

MOST_IN_SUBSETS = 6
"""States up to which `Subsets` takes less time than the integral."""


@final
class Subsets(nn.Module):
    """The same as `first_of_a_set`, exactly, from the 2^K subsets E of the set S of K states.

    H(E), how probable it is that the rest of S follows once E is taken, is 1 for E = S and else

        H(E) = sum_{s in S without E} q(s) H(E with s) / (1 - q(E));

    s came first in proportion to q(s) H({s}), and s' after s in proportion to q(s') H({s, s'}).

    Args:
        num_states: K, at least 2.
    """

    of_pair: Tensor

    def __init__(self, num_states: int) -> None:
        super().__init__()
        levels = [list(combinations(range(num_states), size)) for size in range(num_states + 1)]
        for size in range(1, num_states):
            left = [sorted({*range(num_states)} - {*taken}) for taken in levels[size]]
            next_ = {taken: position for position, taken in enumerate(levels[size + 1])}
            further = [
                [next_[tuple(sorted((*taken, state)))] for state in of_it]
                for taken, of_it in zip(levels[size], left, strict=True)
            ]
            self.register_buffer(f"left_{size}", torch.tensor(left), persistent=False)
            self.register_buffer(f"further_{size}", torch.tensor(further), persistent=False)
        pairs = {pair: position for position, pair in enumerate(levels[2])}
        of_pair = [[pairs[min(s, t), max(s, t)] if s != t else 0 for t in range(num_states)] for s in range(num_states)]
        self.register_buffer("of_pair", torch.tensor(of_pair), persistent=False)

    def forward(self, log_q: Tensor, log_rest: Tensor) -> tuple[Tensor, Tensor]:
        """The two results of `first_of_a_set`."""
        num_states, dtype = len(log_q), log_q.dtype
        log_q, log_rest = log_q.double(), log_rest.double()
        log_h = torch.zeros_like(log_q[:1])
        of_two = log_h
        for size in range(num_states - 1, 0, -1):  # of E; the sets of one size at once
            q_left = log_q[getattr(self, f"left_{size}")]  # [number of sets, K - size, *B]
            followed = q_left + log_h[getattr(self, f"further_{size}")]
            mass = torch.cat([q_left, log_rest.expand(len(q_left), 1, *log_rest.shape)], 1).logsumexp(1)
            of_two, log_h = log_h, followed.logsumexp(1) - mass
        own = torch.eye(num_states, dtype=torch.bool, device=log_q.device)
        own = own.reshape(num_states, num_states, *(1,) * log_rest.dim())
        others = (log_q + of_two[self.of_pair]).masked_fill(own, -math.inf).softmax(1)
        return (log_q + log_h).softmax(0).to(dtype), others.to(dtype)


def first_of_a_set(log_q: Tensor, log_rest: Tensor) -> tuple[Tensor, Tensor]:
    """How probable each state of the set is to have come first, `[K, *B]`, and after each s, each other, `[K, K, *B]`.

    Both sum to 1, the second over its second axis. An integral, for sets of any size: states come at the first events
    of Poisson processes with rates q(s), all others together with q(rest); in units of 1/q(rest) the set A comes before
    the rest with probability

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
    beyond = (log_exponent + 30.0).clamp(max=0.0)
    log_factor = beyond + (-torch.expm1(-log_exponent.clamp(-30.0, 30.0).exp())).log()
    log_integrand = log_t - log_t.exp() + torch.log1p((-y).exp()) + log_factor.sum(1)
    without_one = (log_integrand.unsqueeze(1) - log_factor).logsumexp(0)
    weight = (log_q + without_one).softmax(0)
    # The integrand without s and s' is a product of two, each scaled to a largest value of 1.
    half = 0.5 * log_integrand.unsqueeze(1) - log_factor  # [nodes, K, *B]
    largest = half.amax(0)
    scaled = (half - largest).exp().movedim((0, 1), (-1, -2)).contiguous()  # [*B, K, nodes]
    without_two = (scaled @ scaled.mT).log().movedim((-2, -1), (0, 1)) + largest
    own = torch.eye(num_states, dtype=torch.bool, device=log_q.device)
    own = own.reshape(num_states, num_states, *(1,) * log_rest.dim())
    others = (log_q + without_two).masked_fill(own, -math.inf).softmax(1)
    return weight.to(dtype), others.to(dtype)
