"""The values that a discrete distribution can take, and the probabilities of bits and of classes."""

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, constraints
from torch.distributions import VonMises as TorchVonMises

from reparam_suite.distributions.factors import factors


def num_states(q: Distribution) -> int | None:
    """How many values `q` can take; None where they cannot be enumerated."""
    base, latents = _values(q)
    return None if base is None else len(base) ** latents


def support_of(q: Distribution) -> Tensor | None:
    """Every value of `q`, `[S, *B, *event]`; None where they cannot be enumerated.

    By `enumerate_support` of its factors, whose values are combined in all ways: V^D of them.
    """
    values, num_latents = _values(q, expand=True)
    if values is None:
        return None
    if num_latents == 1 and not isinstance(q, Independent):
        return values
    num_values, batch = len(values), len(q.batch_shape)
    inner = values.shape[1 + batch : values.dim() - len(factors(q).event_shape)]
    place = num_values ** torch.arange(num_latents, device=values.device)
    states = torch.arange(num_values**num_latents, device=values.device)
    digits = (states.unsqueeze(-1) // place % num_values).reshape(len(states), *(1,) * batch, *inner)
    digits = digits.reshape(*digits.shape, *(1,) * len(factors(q).event_shape))
    return values.gather(0, digits.expand(len(states), *values.shape[1:]))


def probabilities(q: Distribution) -> Tensor | None:
    """Of a 1 in each of D bits, `[*B, D]`, or of each class of D one-hot latents, `[*B, D, C]`; None of another `q`.

    Bits and one-hot latents are known by the distribution's support, and their probabilities are its mean.
    """
    known = ((1, constraints.boolean), (2, constraints.one_hot))
    return mean_of(q) if (len(q.event_shape), _support(q)) in known else None


def has_mean(q: Distribution) -> bool:
    """Whether `q` has a mean in closed form; the mean direction of an angle is no mean of the angle."""
    base = factors(q)
    return type(base).mean is not Distribution.mean and not isinstance(base, TorchVonMises | Categorical)


def is_real(q: Distribution) -> bool:
    """Whether `q` is a distribution over all vectors of real numbers."""
    return _support(q) is constraints.real


def is_discrete(q: Distribution) -> bool:
    """Whether `q` says that its values can be counted."""
    units = _support(q)
    return units is not None and bool(units.is_discrete)


def mean_of(q: Distribution) -> Tensor | None:
    """The mean of `q`, or None where `q` does not know it."""
    try:
        return q.mean
    except NotImplementedError:
        return None


def _support(q: Distribution) -> constraints.Constraint | None:
    # What holds of each number of a value, or of the vector where they hang together; None where q does not say.
    try:
        found = q.support
    except NotImplementedError:
        return None
    while isinstance(found, constraints.independent):
        found = found.base_constraint
    return found


def _values(q: Distribution, *, expand: bool = False) -> tuple[Tensor | None, int]:
    # The values of a factor, [V, *B, ..], and how many factors an event has.
    base = factors(q)
    if not base.has_enumerate_support:
        return None, 0
    num_latents = q.event_shape.numel() // base.event_shape.numel()
    return base.enumerate_support(expand=expand), num_latents
