"""Distributions that neither the suite nor PyTorch has: the contract holds for members that exist in tests only."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import (
    Distribution,
    Independent,
    Normal,
    TanhTransform,
    TransformedDistribution,
    constraints,
)


class Logistic(Distribution):
    """Written as PyTorch's documentation says."""

    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.loc, self.scale = loc, scale
        super().__init__(self.loc.shape, validate_args=validate_args)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + self.scale * u.clamp(1e-12, 1 - 1e-12).logit()

    def log_prob(self, value: Tensor) -> Tensor:
        y = (value - self.loc) / self.scale
        return -y - 2.0 * F.softplus(-y) - self.scale.log()


class QuantileLogistic(Logistic):
    """The same, with quantiles."""

    def inverse_cdf(self, u: Tensor) -> Tensor:
        return self.loc + self.scale * u.logit()


class Switches(Distribution):
    """D bits, by their probabilities: of no family, without logits and without an enumeration."""

    arg_constraints: ClassVar = {"p": constraints.unit_interval}
    support = constraints.independent(constraints.boolean, 1)

    def __init__(self, p: Tensor) -> None:
        self.p = p
        super().__init__(p.shape[:-1], p.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.p

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return torch.bernoulli(self.p.expand(*sample_shape, *self.p.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return (value * self.p.log() + (1.0 - value) * (1.0 - self.p).log()).sum(-1)


class Truncated(Distribution):
    """The geometric law of 0, 1, 2, 3, from a logit: a discrete one that is no family of the suite."""

    arg_constraints: ClassVar = {"logit": constraints.real}
    support = constraints.integer_interval(0, 3)
    has_enumerate_support = True

    def __init__(self, logit: Tensor, validate_args: bool | None = None) -> None:
        self.logit = logit
        super().__init__(logit.shape, validate_args=validate_args)

    def _log_probabilities(self) -> Tensor:
        return (self.logit.unsqueeze(-1) * torch.arange(4.0, dtype=self.logit.dtype)).log_softmax(-1)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            p = self._log_probabilities().exp().expand(*sample_shape, *self.logit.shape, 4)
            drawn = torch.multinomial(p.reshape(-1, 4), 1).reshape(p.shape[:-1])
            return drawn.to(self.logit.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        log_p = self._log_probabilities()
        return log_p.expand(*value.shape, 4).gather(-1, value.long().unsqueeze(-1)).squeeze(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = torch.arange(4.0, dtype=self.logit.dtype).reshape(4, *(1,) * self.logit.dim())
        return values.expand(4, *self.logit.shape) if expand else values


class Flow(Distribution):
    """A flow: its law depends on the weights of a network, it names no parameters and has no `frozen`.

    z_0 = e_0,  z_1 = (e_1 - shift(z_0)) exp(-log_scale(z_0)) with e standard normal, both from a network of z_0 and x.
    """

    has_rsample = True
    support = constraints.real_vector

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        self.network, self.x = network, x
        super().__init__(x.shape[:-1], torch.Size([2]), validate_args=False)

    def _shift_and_log_scale(self, first: Tensor) -> tuple[Tensor, Tensor]:
        x = self.x.expand(*first.shape, self.x.shape[-1])
        shift, log_scale = self.network(torch.cat([first.unsqueeze(-1), x], -1)).unbind(-1)
        return shift, 0.5 * log_scale.tanh()

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        e = torch.randn(self._extended_shape(sample_shape), dtype=self.x.dtype)
        shift, log_scale = self._shift_and_log_scale(e[..., 0])
        return torch.stack([e[..., 0], (e[..., 1] - shift) * (-log_scale).exp()], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        shift, log_scale = self._shift_and_log_scale(value[..., 0])
        e = torch.stack([value[..., 0], value[..., 1] * log_scale.exp() + shift], -1)
        return Normal(0.0, 1.0).log_prob(e).sum(-1) + log_scale


def logistic(phi: Tensor) -> Distribution:
    """Two independent ones, from loc and log scale `[*B, 4]`."""
    loc, log_scale = phi.chunk(2, dim=-1)
    return Independent(Logistic(loc, log_scale.exp()), 1)


def quantile_logistic(phi: Tensor) -> Distribution:
    """Two independent ones with quantiles."""
    loc, log_scale = phi.chunk(2, dim=-1)
    return Independent(QuantileLogistic(loc, log_scale.exp()), 1)


def tanh_normal(phi: Tensor) -> Distribution:
    """Two independent normals in (-1, 1), with a cache, from loc and log scale `[*B, 4]`."""
    loc, log_scale = phi.chunk(2, dim=-1)
    return Independent(TransformedDistribution(Normal(loc, log_scale.exp()), [TanhTransform(cache_size=1)]), 1)


def truncated(phi: Tensor) -> Distribution:
    """Two independent ones, from logits `[*B, 2]`."""
    return Independent(Truncated(phi), 1)
