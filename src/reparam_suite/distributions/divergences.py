"""Kullback-Leibler divergences in closed form."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)
from torch.distributions.kl import kl_divergence as torch_kl_divergence

from reparam_suite.distributions.factors import factors, family
from reparam_suite.distributions.families import OneHotCategorical, UnitNormal
from reparam_suite.distributions.parameters import can_be_rebuilt, parameters
from reparam_suite.distributions.transforms import may_remember

# Beyond it a bit is certain: what is left of the divergence, 60 exp(-60), is below the rounding of float64.
_CERTAIN = 60.0


def kl_divergence(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q || p) in nats, `[*B]`; None where it has no closed form, or none that is known.

    Pairs of the suite's families in logits, a full-covariance q from a factorised p among them; other pairs by PyTorch,
    as far as its result sums over the axes of an event and no others. A class or value of probability 0 under q adds
    nothing.
    """
    if q.event_shape != p.event_shape:
        return None
    known = _of_factors(q, p)
    if known is not None:
        return known
    if not (_is_registered_right(q) and _is_registered_right(p)):
        return None
    try:
        divergence = torch_kl_divergence(q, p)
    except NotImplementedError:
        return None
    return divergence if divergence.shape == torch.broadcast_shapes(q.batch_shape, p.batch_shape) else None


def _of_factors(q: Distribution, p: Distribution) -> Tensor | None:
    pair = family(q), family(p)
    event = tuple(range(-len(q.event_shape), 0))
    if pair == (Bernoulli, Bernoulli):
        a, b = factors(q).logits.clamp(-_CERTAIN, _CERTAIN), factors(p).logits  # type: ignore[attr-defined]
        return _summed(a.sigmoid() * (a - b) + F.softplus(b) - F.softplus(a), event)
    if pair == (OneHotCategorical, OneHotCategorical):
        a, b = factors(q).logits, factors(p).logits  # type: ignore[attr-defined]
        return _summed(a.exp() * (a - b), event)
    if pair == (Normal, Normal):
        return 0.5 * (_summed(_of_normals(q, p), event) - q.event_shape.numel())
    if pair == (MultivariateNormal, Normal) and len(event) == 1:
        ours, theirs = parameters(q), parameters(p)
        scale_tril, shift = ours["scale_tril"], ours["loc"] - theirs["loc"]
        precision = theirs["scale"].square().reciprocal()
        second_moment = scale_tril.square().sum(-1) + shift.square()
        log_determinant = scale_tril.diagonal(dim1=-2, dim2=-1).log()
        terms = 0.5 * (second_moment * precision - 1.0) + theirs["scale"].log() - log_determinant
        return terms.sum(-1)
    return None


def _of_normals(q: Distribution, p: Distribution) -> Tensor:
    # Twice the divergence of each factor, plus 1.
    loc, scale = parameters(q).values()
    if type(factors(p)) is UnitNormal:
        return torch.addcmul(loc.square(), scale, scale).sub(scale.log(), alpha=2.0)
    theirs = parameters(p)
    ratio, shift = scale / theirs["scale"], (loc - theirs["loc"]) / theirs["scale"]
    return torch.addcmul(ratio.square(), shift, shift).sub(ratio.log(), alpha=2.0)


def _summed(terms: Tensor, event: tuple[int, ...]) -> Tensor:
    return terms.sum(event) if event else terms


def _is_registered_right(q: Distribution) -> bool:
    # PyTorch looks its formula up by base classes as well, but another log-density is another law; and it leaves out
    # the parameters of transforms. A class that is none of PyTorch's has no formula unless its author registered one.
    if can_be_rebuilt(q):
        return True
    while isinstance(q, Independent):
        q = q.base_dist
    if isinstance(q, TransformedDistribution) and not may_remember(q):
        return False
    of_torch = next(cls for cls in type(q).__mro__ if cls.__module__.startswith("torch.distributions"))
    return of_torch is Distribution or type(q).log_prob is of_torch.log_prob  # type: ignore[attr-defined]
