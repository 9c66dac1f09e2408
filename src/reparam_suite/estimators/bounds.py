"""Bounds: how the K values f(z_1), .., f(z_K) of one datum become one objective."""

import math
from typing import ClassVar, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from reparam_suite.estimators.shapes import PerDatum, Values


@runtime_checkable
class Bound(Protocol):
    """The interface of bounds: what becomes of K values. Values are in nats, `f` is `[K, *B]`.

    Attributes:
        score_vanishes: whether E[sum_k path weight_k * grad log q(z_k)] is zero, so that an f which contains log q may
            be evaluated at a frozen q.
        admits_exact: whether a term known in closed form may be added to the objective.
    """

    score_vanishes: ClassVar[bool]
    admits_exact: ClassVar[bool]

    def value(self, f: Values) -> PerDatum:
        """The objective; its derivative with respect to f multiplies grad_theta f."""

    def credit(self, f: Values, baseline: Tensor) -> Values:
        """The factor of grad log q(z_k), `[K, *B]`; `baseline` broadcasts against f and must not depend on z_k."""

    def leave_one_out(self, f: Values) -> Values:
        """The credit of z_k with a baseline made of the other samples."""

    def path_weight(self, f: Values) -> Values:
        """The factor of df/dz_k dz_k/dphi when the score term is left out, `[K, *B]`."""


@final
class Average(Bound):
    """The mean of f over the K samples: with f = log p(x,z) - log q(z), the evidence lower bound.

    1/K sum_k f_k
    """

    score_vanishes: ClassVar[bool] = True
    admits_exact: ClassVar[bool] = True

    def value(self, f: Values) -> PerDatum:
        """The mean over samples; that of one is itself, without an operation."""
        return f.squeeze(0) if len(f) == 1 else f.mean(0)

    def credit(self, f: Values, baseline: Tensor) -> Values:
        """(f_k - baseline) / K."""
        return (f - baseline) / f.shape[0]

    def leave_one_out(self, f: Values) -> Values:
        """(f_k - mean of the others) / K = (f_k - mean) / (K - 1): RLOO, Kool, van Hoof & Welling (2019)."""
        return (f - f.mean(0)) / (f.shape[0] - 1)

    def path_weight(self, f: Values) -> Values:
        """1/K, Roeder et al. (2017)."""
        return torch.full_like(f, 1.0 / f.shape[0])


@final
class LogMeanExp(Bound):
    """The importance-weighted bound on log p(x), tighter with every sample.

    log 1/K sum_k exp f_k, with f = log p(x,z) - log q(z). Burda et al. (2016), arXiv 1509.00519.

    A sample whose share of the sum is below the fourth root of the smallest normal number, 3e-10 in single precision,
    counts as nothing. The rounding of the others hides it, and its derivatives would be denormal numbers, with which a
    CPU computes many times more slowly.
    """

    score_vanishes: ClassVar[bool] = False
    admits_exact: ClassVar[bool] = False

    def value(self, f: Values) -> PerDatum:
        """The log of the mean weight."""
        return _of_weight(f).logsumexp(0) - math.log(f.shape[0])

    def credit(self, f: Values, baseline: Tensor) -> Values:
        """The whole bound minus the baseline, for every sample."""
        return self.value(f) - baseline + torch.zeros_like(f)

    def leave_one_out(self, f: Values) -> Values:
        """The bound minus the bound with f_k replaced by the mean of the other f: VIMCO, arXiv 1602.06725, eq. 10."""
        num_samples = f.shape[0]
        others = (f.sum(0) - f) / (num_samples - 1)
        diagonal = torch.eye(num_samples, dtype=torch.bool, device=f.device)
        diagonal = diagonal.reshape(num_samples, num_samples, *(1,) * (f.dim() - 1))
        replaced = torch.where(diagonal, others, f.unsqueeze(1))  # [K of the sum, K replaced, *B]
        return f.logsumexp(0) - replaced.logsumexp(0)

    def path_weight(self, f: Values) -> Values:
        """The squared normalised weight: DReG, Tucker et al. (2019), arXiv 1810.04152, eq. 8."""
        return _of_weight(f).softmax(0).square()


def _of_weight(f: Values) -> Values:
    least = 0.25 * math.log(torch.finfo(f.dtype).tiny)
    return f.masked_fill(f < f.detach().amax(0) + least, -torch.inf)
