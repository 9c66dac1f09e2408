"""The values that a discrete distribution can take."""

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

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


def _values(q: Distribution, *, expand: bool = False) -> tuple[Tensor | None, int]:
    # The values of a factor, [V, *B, ..], and how many factors an event has.
    base = factors(q)
    if not base.has_enumerate_support:
        return None, 0
    num_latents = q.event_shape.numel() // base.event_shape.numel()
    return base.enumerate_support(expand=expand), num_latents
