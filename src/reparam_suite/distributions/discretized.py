"""Probabilities of the levels of an image: a logistic distribution, discretized."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints

from reparam_suite.distributions.likelihoods import ScaledLikelihood
from reparam_suite.runtime import checks


class DiscretizedLogisticLikelihood(ScaledLikelihood):
    """Independent levels 0/L, 1/L, .., L/L, of 8-bit images say: the decoder gives the location of a logistic
    distribution for each, and one scale serves all of them.

    P(x) is the logistic's probability of the half level around x, the first and the last level with all beyond them.
    The probabilities of the levels add up to 1, so that a bound in bits per dimension means what it says.
    Kingma, Salimans, Jozefowicz, Chen, Sutskever & Welling (2016), arXiv 1606.04934, appendix B.

    Args:
        event_shape: of one datum; without it, that of the model.
        scale: "learned", or a fixed number, in units of intensity.
        initial_scale: where a learned scale starts.
        levels: L, the level that stands for intensity 1.

    Raises:
        ValueError: if a scale is not positive and finite, or there is no level.
    """

    def __init__(
        self,
        event_shape: Sequence[int] | None = None,
        *,
        scale: Literal["learned"] | float = "learned",
        initial_scale: float = 0.1,
        levels: int = 255,
    ) -> None:
        super().__init__(event_shape, scale=scale, initial_scale=initial_scale)
        self.levels = checks.integer(f"levels of {type(self).__name__}", levels, least=1)

    def constructor_arguments(self) -> dict[str, Any]:
        """The arguments that make the same family, its scale where the training of this one began."""
        return {**super().constructor_arguments(), "levels": self.levels}

    def distribution(self, raw: Tensor) -> Distribution:
        """Levels of the event shape."""
        loc = self._unflattened(raw) + 0.5  # an output of 0 is a medium grey
        return DiscretizedLogistic(loc, self.log_scale, self.levels, len(self.event_shape))

    def raw_of(self, mean: Tensor) -> Tensor:
        """The mean, counted from a medium grey."""
        return mean - 0.5


@final
class Levels(constraints.Constraint):
    """0/L, 1/L, .., L/L, up to rounding.

    Args:
        levels: L.
        event_dim: axes of one value.
    """

    is_discrete = True

    def __init__(self, levels: int, event_dim: int = 0) -> None:
        self.levels = levels
        self.event_dim = event_dim

    def check(self, value: Tensor) -> Tensor:
        """Whether a value is one of them, over the axes of one."""
        level = value * self.levels
        is_level = ((level - level.round()).abs() < _ROUNDING * self.levels) & (value >= 0.0) & (value <= 1.0)
        return is_level.flatten(-self.event_dim).all(-1) if self.event_dim else is_level


@final
class DiscretizedLogistic(Distribution):
    """Independent levels over the last axes: x = k / L where a logistic variable rounds to level k of 0..L.

    log P(x) = log(sigmoid(b) - sigmoid(a)),  b, a = (x +- 1/(2 L) - loc) / scale
             = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(-1 / (L scale)))

    and without the second and third term at the first level, without the first and third at the last.

    Args:
        loc: of the logistic distribution, `[*B, *event]`.
        log_scale: log of its scale, `[]`.
        levels: L.
        event_axes: how many of the axes are the event's.
    """

    arg_constraints: ClassVar = {"loc": constraints.real, "log_scale": constraints.real}
    accepted = constraints.unit_interval  # as data: `log_prob` takes them between levels too

    def __init__(self, loc: Tensor, log_scale: Tensor, levels: int = 255, event_axes: int = 1) -> None:
        self.loc, self.log_scale, self.levels = loc, log_scale, levels
        self._axes = tuple(range(-event_axes, 0))
        super().__init__(loc.shape[:-event_axes], loc.shape[-event_axes:], validate_args=False)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """The levels."""
        return Levels(self.levels, len(self._axes))

    @property
    def mean(self) -> Tensor:
        """E[x], of the logistic variable held within [0, 1]: its rounding to levels adds less than half a level."""
        scale = self.log_scale.exp()
        return scale * (F.softplus(self.loc / scale) - F.softplus((self.loc - 1.0) / scale))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability in nats, summed over the event; of x between two levels, that of the level around it."""
        half, inverse_scale = 0.5 / self.levels, (-self.log_scale).exp()
        centred = value - self.loc
        above = F.logsigmoid((centred + half) * inverse_scale)
        below = F.logsigmoid((half - centred) * inverse_scale)
        between = (-torch.expm1(-inverse_scale / self.levels)).log()
        first, last = value < half, value > 1.0 - half
        zero = above.new_zeros(())
        terms = torch.where(last, zero, above) + torch.where(first, zero, below)
        return (terms + torch.where(first | last, zero, between)).sum(self._axes)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Levels `[*sample_shape, *B, *event]`."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.loc.shape
            u = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
            noise = u.clamp(torch.finfo(u.dtype).tiny, 1.0 - torch.finfo(u.dtype).eps).logit()
            return ((self.loc + self.log_scale.exp() * noise) * self.levels).round().clamp(0, self.levels) / self.levels


_ROUNDING = 1e-5
