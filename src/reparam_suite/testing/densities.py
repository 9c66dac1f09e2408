"""Expectations under a distribution from its log-density alone: enumeration and quadrature, never samples.

A distribution's units are what is left when `Independent` is taken off: its latents, where they are independent. The
functions whose means are compared are bounded and smooth, so that heavy tails have finite variance.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MixtureSameFamily, biject_to, constraints
from torch.distributions.constraints import Constraint

# Steps of the grid by its number of dimensions. Smooth densities are exact to rounding at either; a kink, as Laplace's,
# costs an error of the order of the step squared.
_STEPS = {1: 0.01, 2: 0.1}
_REACH = 20.0  # nodes reach out to sinh(20), 2e8 standard deviations
_LEAST_LOG_MASS = -100.0
_NUM_ANGLES = 400


def units_of(q: Distribution) -> Distribution:
    """The distribution of the units of `q`, `Independent` taken off."""
    while isinstance(q, Independent):
        q = q.base_dist
    return q


@dataclass(frozen=True)
class Nodes:
    """Values of the units `[S, *batch, *event]`, and the log-volume `[S, *batch]` that each stands for."""

    values: Tensor
    log_volume: Tensor

    def masses(self, units: Distribution) -> Tensor:
        """The probability of each node `[S, *batch]`, differentiable with respect to the parameters."""
        return (units.log_prob(self.values) + self.log_volume).exp()


@dataclass(frozen=True)
class Probes:
    """Bounded functions of a unit: tanh and a bump of each coordinate, tanh of a mixture of all; of an angle, waves.

    Args:
        centre: `[*batch, F]`, F the numbers of a unit.
        width: of the same shape.
        event_dim: axes of a unit.
        periodic: whether a unit is an angle.
    """

    centre: Tensor
    width: Tensor
    event_dim: int
    periodic: bool

    def __call__(self, z: Tensor) -> Tensor:
        """The functions `[..., *batch, H]` of z `[..., *batch, *event]`."""
        flat = z.flatten(z.dim() - self.event_dim) if self.event_dim else z.unsqueeze(-1)
        if self.periodic:
            return torch.cat([flat.sin(), flat.cos()], -1)
        y = (flat - self.centre) / self.width
        found = [(y + 0.3).tanh(), (-0.5 * y.square()).exp()]
        if y.shape[-1] > 1:
            direction = torch.linspace(1.0, -0.6, y.shape[-1], dtype=y.dtype, device=y.device)
            found.append((y * direction).sum(-1, keepdim=True).tanh())
        return torch.cat(found, -1)


def probes_of(units: Distribution, drawn: Tensor) -> Probes:
    """The functions to compare means of, placed where the samples `drawn` `[N, *batch, *event]` are."""
    flat = drawn.reshape(len(drawn), *units.batch_shape, -1)
    low, centre, high = flat.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=flat.dtype), dim=0)
    width = 0.5 * (high - low)
    width = torch.where(width > 0, width, 1.0)
    return Probes(centre, width, len(units.event_shape), is_periodic(units, drawn))


def is_periodic(units: Distribution, drawn: Tensor) -> bool:
    """Whether a unit is an angle: its density has period 2 pi."""
    if units.event_shape or support_of_units(units) is not constraints.real:
        return False
    return torch.allclose(units.log_prob(drawn + 2.0 * math.pi), units.log_prob(drawn), rtol=1e-9, atol=1e-9)


def nodes_of(units: Distribution, drawn: Tensor) -> Nodes | None:
    """All values of discrete units, or a grid for continuous ones of at most two dimensions; None where neither can be.

    Args:
        units: the distribution.
        drawn: samples `[N, *batch, *event]` that say where the grid is to be dense.
    """
    if units.has_enumerate_support:
        values = units.enumerate_support(expand=True)
        return Nodes(values, values.new_zeros((len(values), *units.batch_shape)))
    support = support_of_units(units)
    if support.is_discrete:
        return _integers(units, drawn)
    if is_periodic(units, drawn):
        angles = torch.linspace(-math.pi, math.pi, _NUM_ANGLES + 1, dtype=drawn.dtype)[:-1]
        values = angles.reshape(-1, *(1,) * len(units.batch_shape)).expand(-1, *units.batch_shape)
        return Nodes(values, torch.full_like(values, math.log(2.0 * math.pi / _NUM_ANGLES)))
    return _grid(units, drawn)


def support_of_units(units: Distribution) -> Constraint:
    """The support that a distribution names; all real numbers where it names none."""
    try:
        support = units.support
    except NotImplementedError:
        support = None
    if support is None:
        return constraints.independent(constraints.real, len(units.event_shape))
    return getattr(support, "base_constraint", support) if isinstance(units, MixtureSameFamily) else support


def _integers(units: Distribution, drawn: Tensor) -> Nodes | None:
    # Numbers that are counted: from the least sample to far above the largest.
    if units.event_shape:
        return None
    least, most = drawn.min().item(), drawn.max().item()
    lower = getattr(units.support, "lower_bound", least)
    numbers = torch.arange(float(lower), most + 3.0 * (most - least) + 20.0, dtype=drawn.dtype)
    values = numbers.reshape(-1, *(1,) * len(units.batch_shape)).expand(-1, *units.batch_shape)
    return Nodes(values, torch.zeros_like(values))


def _grid(units: Distribution, drawn: Tensor) -> Nodes | None:
    # Unconstrained coordinates u = centre + width sinh(t), t on an even grid: the trapezoid rule, whose error falls
    # exponentially for densities that are analytic in u.
    to_support = biject_to(support_of_units(units))
    event_dim = len(units.event_shape)
    if event_dim > 1:
        return None
    u = to_support.inv(drawn).detach()
    u = u if event_dim else u.unsqueeze(-1)  # [N, *batch, n]
    num_dimensions = u.shape[-1]
    if num_dimensions not in _STEPS:
        return None
    low, centre, high = u.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=u.dtype), dim=0)
    step, width = _STEPS[num_dimensions], 0.5 * (high - low)
    axis = torch.arange(-_REACH, _REACH + 0.5 * step, step, dtype=u.dtype)
    t = torch.cartesian_prod(*[axis] * num_dimensions).reshape(-1, *(1,) * len(units.batch_shape), num_dimensions)
    nodes = centre + width * t.sinh()
    log_volume = (width.log() + t.cosh().log() + math.log(step)).sum(-1)
    nodes, middle = (tensor if event_dim else tensor.squeeze(-1) for tensor in (nodes, centre))
    values = to_support(nodes)
    log_volume = log_volume + to_support.log_abs_det_jacobian(nodes, values)
    return _with_mass(units, Nodes(values, log_volume), to_support(middle))


def _with_mass(units: Distribution, nodes: Nodes, middle: Tensor) -> Nodes:
    # Without nodes of no mass. Far out a value may leave the range of numbers: what `middle` says stands there, with
    # no volume, so that gradients are finite. Where the support depends on parameters, so do the values.
    event = (1,) * len(units.event_shape)
    with torch.no_grad():
        inside = support_of_units(units).check(nodes.values)
        values = torch.where(inside.reshape(*inside.shape, *event), nodes.values, middle)
        log_mass = units.log_prob(values) + nodes.log_volume
        kept = inside & log_mass.isfinite() & (log_mass > _LEAST_LOG_MASS)
        rows = kept.flatten(1).any(1)
    kept, values, log_volume = kept[rows], nodes.values[rows], nodes.log_volume[rows]
    values = torch.where(kept.reshape(*kept.shape, *event), values, middle)
    return Nodes(values, torch.where(kept, log_volume, -math.inf))
