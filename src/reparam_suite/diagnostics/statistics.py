"""Variance, its standard error and the signal beside it, of a gradient that can be drawn again and again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True)
class GradientStatistics:
    """What the estimator's noise does to one group of gradients; every field stays on the device.

    Attributes:
        variance: `[]`, trace of the covariance of the minibatch gradient over the estimator's noise.
        standard_error: `[]`, of that variance, by the jackknife.
        squared_norm: `[]`, |E g|^2, estimated without bias: noise can bring it below 0.
        element_variances: the diagonal of that covariance, one tensor a parameter; None if it was not asked for.
    """

    variance: Tensor
    standard_error: Tensor
    squared_norm: Tensor
    element_variances: tuple[Tensor, ...] | None = None

    @property
    def snr(self) -> Tensor:
        """|E g|^2 / variance, `[]`; infinite where there is no noise."""
        return self.squared_norm / self.variance


def jackknife(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Trace of the covariance, and the variance of that estimate, from inner products `[*, R, R]` of R draws.

    trace = mean over pairs of 1/2 |g_r - g_s|^2; each `[*]`. R at least 3. The second is a little too large: the
    jackknife counts twice what pairs add to single draws.
    """
    num_repeats = gram.shape[-1]
    squares = gram.diagonal(dim1=-2, dim2=-1)
    # Row sums of 1/2 |g_r - g_s|^2 over s.
    rows = 0.5 * (num_repeats * squares + squares.sum(-1, keepdim=True)) - gram.sum(-1)
    trace = rows.mean(-1) / (num_repeats - 1)
    spread = (rows - rows.mean(-1, keepdim=True)).square().sum(-1)
    return trace, 4.0 * spread / (num_repeats * (num_repeats - 1) * (num_repeats - 2) ** 2)


def from_draws(draws: Sequence[Tensor], *, per_element: bool = False) -> GradientStatistics:
    """The statistics of R independent minibatch gradients, given as one tensor `[R, ...]` for each parameter."""
    num_repeats = len(draws[0])
    flat = [each.reshape(num_repeats, -1) for each in draws]
    # About the mean, so that no digits are lost where the noise is small beside the gradient.
    means = [each.mean(0) for each in flat]
    gram = sum((each - mean) @ (each - mean).T for each, mean in zip(flat, means, strict=True))
    assert isinstance(gram, Tensor)
    variance, squared_error = jackknife(gram)
    squared_norm = torch.stack([each.square().sum() for each in means]).sum() - variance / num_repeats
    elements = tuple(each.var(0) for each in draws) if per_element else None
    return GradientStatistics(
        variance=variance,
        standard_error=squared_error.sqrt(),
        squared_norm=squared_norm,
        element_variances=elements,
    )
