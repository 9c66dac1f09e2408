"""Posteriors: an encoder's output becomes q(z|x)."""

from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    MultivariateNormal,
    Normal,
)

from reparam_suite.distributions.families import OneHotCategorical, bernoulli, categorical, multivariate_normal, normal


class Posterior(ABC):
    """How an encoder's output becomes q(z|x), and what the latents look like."""

    family: ClassVar[type[Distribution]]

    @abstractmethod
    def num_parameters(self, latent_size: int) -> int:
        """How many numbers the encoder has to give for D = `latent_size` latents."""

    @abstractmethod
    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """The shape of one z: `(D,)` or `(D, C)`."""

    @abstractmethod
    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """q(z|x), batch_shape `[*B]`, from the encoder's output `[*B, num_parameters]`.

        Raises:
            ValueError: if the last axis of `raw` is of another length.
        """

    def _checked(self, raw: Tensor, latent_size: int) -> Tensor:
        expected = self.num_parameters(latent_size)
        if raw.shape[-1] != expected:
            raise ValueError(
                f"{type(self).__name__} with {latent_size} latents takes {expected} parameters a datum, "
                f"got {raw.shape[-1]}"
            )
        return raw


class GaussianPosterior(Posterior):
    """A posterior over D real latents."""

    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """`(D,)`."""
        return (latent_size,)


@final
class DiagonalNormal(GaussianPosterior):
    """N(loc, diag(scale^2)), scale = softplus(raw)."""

    family = Normal

    def num_parameters(self, latent_size: int) -> int:
        """D for loc and D for scale."""
        return 2 * latent_size

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """D independent normals."""
        loc, scale = self._checked(raw, latent_size).chunk(2, dim=-1)
        return normal(loc, _positive(scale))


@final
class FullCovarianceNormal(GaussianPosterior):
    """N(loc, L L^T), L lower-triangular with diagonal softplus(raw)."""

    family = MultivariateNormal

    def num_parameters(self, latent_size: int) -> int:
        """D for loc, D for the diagonal of L and D (D - 1) / 2 below it."""
        return 2 * latent_size + latent_size * (latent_size - 1) // 2

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """A normal with a covariance of its own for each datum."""
        loc, diagonal, below = self._checked(raw, latent_size).split(
            [latent_size, latent_size, latent_size * (latent_size - 1) // 2], dim=-1
        )
        row, column = torch.tril_indices(latent_size, latent_size, offset=-1, device=raw.device)
        scale_tril = torch.diag_embed(_positive(diagonal))
        scale_tril[..., row, column] = below
        return multivariate_normal(loc, scale_tril)


class DiscretePosterior(Posterior):
    """A posterior over D latents that take finitely many values."""


@final
class FactorizedBernoulli(DiscretePosterior):
    """D independent bits, given by their logits."""

    family = Bernoulli

    def num_parameters(self, latent_size: int) -> int:
        """D logits."""
        return latent_size

    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """`(D,)`."""
        return (latent_size,)

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """D independent bits."""
        return bernoulli(self._checked(raw, latent_size))


@final
class FactorizedCategorical(DiscretePosterior):
    """D independent categoricals of C classes, one-hot, given by their logits.

    Args:
        num_classes: C, the number of values that each latent can take.

    Raises:
        ValueError: if `num_classes` is below 2.
    """

    family = OneHotCategorical

    def __init__(self, *, num_classes: int = 10) -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        self.num_classes = num_classes

    def num_parameters(self, latent_size: int) -> int:
        """D C logits."""
        return latent_size * self.num_classes

    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """`(D, C)`."""
        return (latent_size, self.num_classes)

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """D independent one-hot categoricals."""
        return categorical(self._checked(raw, latent_size).unflatten(-1, (latent_size, self.num_classes)))


def _positive(raw: Tensor) -> Tensor:
    # softplus underflows to 0 for very negative input; a scale of 0 has no log-density. What is added is lost in the
    # rounding of any scale that matters, and costs a third of a clamp and its gradient.
    return F.softplus(raw).add_(torch.finfo(raw.dtype).tiny ** 0.25)
