"""Likelihoods: families of p(x|z) over the numbers of one datum, independent given z."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, Self, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from reparam_suite.runtime import checks
from reparam_suite.runtime.checks import checked_shape


class LikelihoodFamily(nn.Module, ABC):
    """A family of p(x|z) with one output of the decoder per element of a datum.

    Args:
        event_shape: of one datum; without it, that of the model which takes the family.
    """

    def __init__(self, event_shape: Sequence[int] | None = None) -> None:
        super().__init__()
        self._event_shape = None if event_shape is None else checked_shape("event_shape", event_shape)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one datum.

        Raises:
            ValueError: if it was not given.
        """
        if self._event_shape is None:
            raise ValueError(f"event_shape of {type(self).__name__}: expected a shape, got None")
        return self._event_shape

    def constructor_arguments(self) -> dict[str, Any]:
        """The arguments that make the same family."""
        return {"event_shape": self._event_shape}

    def of_event_shape(self, event_shape: Sequence[int]) -> Self:
        """A copy over data of `event_shape`.

        Raises:
            ValueError: if it has another one already.
        """
        if self._event_shape not in (None, tuple(event_shape)):
            raise ValueError(
                f"event_shape of {type(self).__name__}: expected {tuple(event_shape)}, got {self._event_shape}"
            )
        shaped = copy.deepcopy(self)
        shaped._event_shape = tuple(event_shape)
        return shaped

    @property
    def num_parameters(self) -> int:
        """The number of elements of a datum."""
        return math.prod(self.event_shape)

    @abstractmethod
    def distribution(self, raw: Tensor) -> Distribution:
        """p(x|z), batch_shape `[*B]`, from the decoder's output `[*B, num_parameters]`."""

    @abstractmethod
    def raw_of(self, mean: Tensor) -> Tensor:
        """The decoder's output that gives the mean `mean`, of the shape of `mean`."""

    def _unflattened(self, raw: Tensor) -> Tensor:
        return raw if len(self.event_shape) == 1 else raw.unflatten(-1, self.event_shape)


class BernoulliLikelihood(LikelihoodFamily):
    """Independent bits; the decoder gives their logits.

    Args:
        event_shape: of one datum; without it, that of the model.
    """

    def distribution(self, raw: Tensor) -> Distribution:
        """Bits of the event shape."""
        return IndependentBernoulli(self._unflattened(raw), len(self.event_shape))

    def raw_of(self, mean: Tensor) -> Tensor:
        """The logit; a pixel that is never or always 1 in training may still be the other one, at odds of 1000."""
        return mean.clamp(1e-3, 1.0 - 1e-3).logit()


class ScaledLikelihood(LikelihoodFamily):
    """A likelihood whose decoder gives a location for each element, and one scale serves all of them.

    Args:
        event_shape: of one datum; without it, that of the model.
        scale: "learned", or a fixed number.
        initial_scale: where a learned scale starts.

    Raises:
        ValueError: if a scale is not positive and finite.
    """

    log_scale: Tensor

    def __init__(
        self,
        event_shape: Sequence[int] | None = None,
        *,
        scale: Literal["learned"] | float = "learned",
        initial_scale: float = 1.0,
    ) -> None:
        super().__init__(event_shape)
        fixed: Any = scale
        name = type(self).__name__
        is_number = isinstance(fixed, Real) and not isinstance(fixed, bool)
        if not (is_number and 0.0 < fixed < math.inf) and (is_number or fixed != "learned"):
            raise ValueError(f"scale of {name}: expected learned or a positive number, got {scale!r}")
        self.scale: Literal["learned"] | float = float(fixed) if is_number else "learned"
        self.initial_scale = checks.number(f"initial_scale of {name}", initial_scale, above=0.0)
        log_scale = torch.tensor(math.log(self.initial_scale if isinstance(self.scale, str) else self.scale))
        if self.scale == "learned":
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def constructor_arguments(self) -> dict[str, Any]:
        """The arguments that make the same family, its scale where the training of this one began."""
        return {**super().constructor_arguments(), "scale": self.scale, "initial_scale": self.initial_scale}


class NormalLikelihood(ScaledLikelihood):
    """Independent normals; the decoder gives their means, and one scale serves all of them.

    Args:
        event_shape: of one datum; without it, that of the model.
        scale: "learned", or a fixed number.
        initial_scale: where a learned scale starts.

    Raises:
        ValueError: if a scale is not positive and finite.
    """

    def distribution(self, raw: Tensor) -> Distribution:
        """Normals of the event shape."""
        return IndependentNormal(self._unflattened(raw), self.log_scale, len(self.event_shape))

    def raw_of(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean


@final
class IndependentBernoulli(Distribution):
    """Independent bits over the last axes, in as few operations as their log-probability takes.

    Args:
        logits: `[*B, *event]`.
        event_axes: how many of the axes are the event's.
    """

    arg_constraints: ClassVar = {"logits": constraints.real}
    support = constraints.boolean

    def __init__(self, logits: Tensor, event_axes: int = 1) -> None:
        self.logits = logits
        self._axes = tuple(range(-event_axes, 0))
        super().__init__(logits.shape[:-event_axes], logits.shape[-event_axes:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The probabilities of a 1."""
        return self.logits.sigmoid()

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.mean * (1.0 - self.mean)

    def log_prob(self, value: Tensor) -> Tensor:
        """x log p + (1 - x) log(1 - p), summed over the event; x may be between 0 and 1."""
        logits = self.logits
        if value.shape != logits.shape:
            value, logits = torch.broadcast_tensors(value, logits)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none").sum(self._axes)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Bits `[*sample_shape, *B, *event]`."""
        with torch.no_grad():
            return torch.bernoulli(self.mean.expand(*sample_shape, *self.logits.shape))


@final
class IndependentNormal(Distribution):
    """Independent normals of one common scale over the last axes.

    Args:
        loc: `[*B, *event]`.
        log_scale: `[]`.
        event_axes: how many of the axes are the event's.
    """

    arg_constraints: ClassVar = {"loc": constraints.real, "log_scale": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, event_axes: int = 1) -> None:
        self.loc, self.log_scale = loc, log_scale
        self._axes = tuple(range(-event_axes, 0))
        super().__init__(loc.shape[:-event_axes], loc.shape[-event_axes:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The squared scale."""
        return (2.0 * self.log_scale).exp().expand_as(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """-1/2 ((x - loc) / scale)^2 - log scale - 1/2 log 2 pi, summed over the event."""
        standardized = (value - self.loc) * (-self.log_scale).exp()
        constant = self.log_scale + 0.5 * math.log(2.0 * math.pi)
        return -(0.5 * standardized.square() + constant).sum(self._axes)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + scale eps, `[*sample_shape, *B, *event]`."""
        shape = torch.Size(sample_shape) + self.loc.shape
        eps = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.log_scale.exp() * eps
