"""How a distribution is sampled: hard, reparameterized, by its quantiles, relaxed."""

import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    OneHotCategoricalStraightThrough,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
    TransformedDistribution,
)

from reparam_suite.distributions.factors import factors, family
from reparam_suite.distributions.families import OneHotCategorical
from reparam_suite.distributions.numbers import widened
from reparam_suite.distributions.parameters import parameters
from reparam_suite.distributions.transforms import may_remember


def samples(q: Distribution, num_samples: int) -> Tensor:
    """K samples of q without a gradient, `[K, *B, *event]`."""
    if family(q) is not Bernoulli:
        z: Tensor = q.sample(torch.Size((num_samples,)))
        # Another tensor than the transforms remember, where what they remember would lose a gradient.
        return z if may_remember(q) else z.view_as(z)
    # A quarter of the time of torch.bernoulli, in the same law.
    with torch.no_grad():
        p = widened(q.mean)
        u = torch.rand((num_samples, *p.shape), dtype=p.dtype, device=p.device)
        return (u < p).to(q.mean.dtype)


def is_reparameterized(q: Distribution) -> bool:
    """Whether samples of `q` carry the exact gradient of its parameters: those of PyTorch's straight-through do not."""
    if not q.has_rsample:
        return False
    while isinstance(q, Independent | TransformedDistribution):
        q = q.base_dist
    return not isinstance(q, OneHotCategoricalStraightThrough | MixtureSameFamily)


def reparameterized(q: Distribution, eps: Tensor) -> Tensor:
    """Standard normal `eps` `[K, *B, D]` moved to a normal q: loc + scale eps, or loc + L eps, with q's gradient."""
    loc, scale = parameters(q).values()
    eps = eps.to(loc.dtype)
    return loc + (scale * eps if family(q) is Normal else (scale @ eps.unsqueeze(-1)).squeeze(-1))


def inverse_cdf(q: Distribution, u: Tensor) -> Tensor | None:
    """Samples of `q` from uniforms `[K, *B, *event]`, increasing in each, with q's gradient where q is continuous.

    By the method `inverse_cdf(u)` of `q` or of its factors if it has one; normal and Bernoulli families; else None.
    """
    for known in (q, factors(q)):
        own = getattr(known, "inverse_cdf", None)
        if own is not None:
            made: Tensor = own(u)
            return made
    if family(q) in (Normal, MultivariateNormal):
        return reparameterized(q, torch.special.ndtri(u))
    if family(q) is Bernoulli:
        return (u > 1.0 - q.mean).to(q.mean.dtype)
    return None


def has_inverse_cdf(q: Distribution) -> bool:
    """Whether `inverse_cdf` knows the quantiles of `q`."""
    own = hasattr(q, "inverse_cdf") or hasattr(factors(q), "inverse_cdf")
    return own or family(q) in (Normal, MultivariateNormal, Bernoulli)


def relaxed(q: Distribution, temperature: float | Tensor) -> Distribution | None:
    """A continuous distribution that tends to `q` as the temperature falls, with samples that carry q's gradient.

    By the method `relaxed(temperature)` of `q` if it has one; the concrete distribution of bits and one-hot latents
    (Maddison, Mnih & Teh, 2017; Jang, Gu & Poole, 2017); else None.
    """
    own = getattr(q, "relaxed", None)
    if own is not None:
        made: Distribution = own(temperature)
        return made
    if family(q) not in (Bernoulli, OneHotCategorical):
        return None
    logits: Tensor = factors(q).logits  # type: ignore[attr-defined]
    concrete = RelaxedBernoulli if family(q) is Bernoulli else RelaxedOneHotCategorical
    at = torch.as_tensor(temperature, dtype=logits.dtype, device=logits.device)
    return _wrapped_as(q, concrete(at, logits=logits, validate_args=False))


def _wrapped_as(q: Distribution, base: Distribution) -> Distribution:
    if not isinstance(q, Independent):
        return base
    return Independent(_wrapped_as(q.base_dist, base), q.reinterpreted_batch_ndims, validate_args=False)
