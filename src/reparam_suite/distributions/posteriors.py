"""Families of latents: a network's output becomes a distribution over z."""

import copy
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions.families import bernoulli, categorical, multivariate_normal, normal
from reparam_suite.distributions.priors import BernoulliPrior, CategoricalPrior, NormalPrior, StandardNormal
from reparam_suite.runtime.checks import as_integer


class LatentFamily(ABC):
    """A family of distributions over D latents.

    Args:
        latent_size: D; without it, that of the model which takes the family.

    Attributes:
        are_bits: whether every latent is 0 or 1, so that a network may see -1 and 1 in their place.

    Raises:
        ValueError: if `latent_size` is below 1.
    """

    are_bits: ClassVar[bool] = False

    def __init__(self, latent_size: int | None = None) -> None:
        self.latent_size = None if latent_size is None else as_integer("latent_size", latent_size)
        if self.latent_size is not None and self.latent_size < 1:
            raise ValueError(f"latent_size: expected at least 1, got {latent_size}")

    def of_latent_size(self, latent_size: int) -> Self:
        """The same family with D = `latent_size`.

        Raises:
            ValueError: if it has another D already.
        """
        if self.latent_size not in (None, latent_size):
            raise ValueError(f"latent_size of {type(self).__name__}: expected {latent_size}, got {self.latent_size}")
        sized = copy.copy(self)
        sized.latent_size = latent_size
        return sized

    @property
    def size(self) -> int:
        """D.

        Raises:
            ValueError: if it was not given.
        """
        if self.latent_size is None:
            raise ValueError(f"latent_size of {type(self).__name__}: expected a number, got None")
        return self.latent_size

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """Numbers per datum that the network gives."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one z: `(D,)` or `(D, C)`."""
        return (self.size,)

    @abstractmethod
    def distribution(self, raw: Tensor) -> Distribution:
        """The distribution over z, batch_shape `[*B]`, from the network's output `[*B, num_parameters]`."""

    @abstractmethod
    def prior(self, *, learned: bool) -> nn.Module:
        """A prior that goes with the family: a module whose forward returns p(z), batch_shape `[]`."""


class NormalFamily(LatentFamily):
    """A family over D real latents; its prior is N(0, I), or a factorised normal that is learned."""

    def prior(self, *, learned: bool) -> nn.Module:
        """N(0, I), or a factorised normal that is learned from there."""
        return NormalPrior(self.event_shape) if learned else StandardNormal(self.event_shape)


class DiagonalNormal(NormalFamily):
    """N(loc, diag(scale^2)), scale = softplus(raw): all loc, then all raw scales.

    Args:
        latent_size: D; without it, that of the model.
    """

    @property
    def num_parameters(self) -> int:
        """D for loc and D for scale."""
        return 2 * self.size

    def distribution(self, raw: Tensor) -> Distribution:
        """D independent normals."""
        loc, scale = raw.chunk(2, dim=-1)
        return normal(loc, _positive(scale))


class FullCovarianceNormal(NormalFamily):
    """N(loc, L L^T), L lower-triangular with diagonal softplus(raw): loc, then the diagonal, then what is below it.

    Args:
        latent_size: D; without it, that of the model.
    """

    @property
    def num_parameters(self) -> int:
        """D for loc, D for the diagonal of L and D (D - 1) / 2 below it."""
        return 2 * self.size + self.size * (self.size - 1) // 2

    def distribution(self, raw: Tensor) -> Distribution:
        """A normal with a covariance of its own for each datum."""
        D = self.size
        loc, diagonal, below = raw.split([D, D, D * (D - 1) // 2], dim=-1)
        row, column = torch.tril_indices(D, D, offset=-1, device=raw.device)
        scale_tril = torch.diag_embed(_positive(diagonal))
        scale_tril[..., row, column] = below
        return multivariate_normal(loc, scale_tril)


class DiscreteFamily(LatentFamily):
    """A family over D latents that take finitely many values."""


class FactorizedBernoulli(DiscreteFamily):
    """D independent bits, given by their logits.

    Args:
        latent_size: D; without it, that of the model.
    """

    are_bits = True

    @property
    def num_parameters(self) -> int:
        """D logits."""
        return self.size

    def distribution(self, raw: Tensor) -> Distribution:
        """D independent bits."""
        return bernoulli(raw)

    def prior(self, *, learned: bool) -> nn.Module:
        """Fair coins, or coins that are learned from there."""
        return BernoulliPrior(self.event_shape, learned=learned)


class FactorizedCategorical(DiscreteFamily):
    """D independent categoricals of C classes, one-hot, given by their logits.

    Args:
        latent_size: D; without it, that of the model.
        num_classes: C, the number of values that each latent can take.

    Raises:
        ValueError: if `num_classes` is below 2.
    """

    def __init__(self, latent_size: int | None = None, *, num_classes: int = 10) -> None:
        super().__init__(latent_size)
        self.num_classes = as_integer("num_classes", num_classes)
        if self.num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")

    @property
    def num_parameters(self) -> int:
        """D C logits."""
        return self.size * self.num_classes

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(D, C)`."""
        return (self.size, self.num_classes)

    def distribution(self, raw: Tensor) -> Distribution:
        """D independent one-hot categoricals."""
        return categorical(raw.unflatten(-1, self.event_shape))

    def prior(self, *, learned: bool) -> nn.Module:
        """Uniform, or categoricals that are learned from there."""
        return CategoricalPrior(self.event_shape, learned=learned)


def _positive(raw: Tensor) -> Tensor:
    # softplus underflows to 0 for very negative input; a scale of 0 has no log-density. What is added is lost in the
    # rounding of any scale that matters, and costs a third of a clamp and its gradient.
    return F.softplus(raw).add_(torch.finfo(raw.dtype).tiny ** 0.25)
