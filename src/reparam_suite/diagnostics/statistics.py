"""Variance, its standard error and the signal beside it, of a gradient that can be drawn again and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from reparam_suite.diagnostics.wide_numbers import doubled, squared_length

Road = Literal["layer by layer", "datum by datum", "whole batch"]
"""How gradients were computed: from every layer's rows, from each datum alone, or from passes over the whole batch."""


@final
@dataclass(frozen=True, kw_only=True)
class GradientStatistics:
    """The noise that an estimator puts into the gradient of one part; every field stays on the device.

    Attributes:
        variance: `[]`, trace of the covariance of the minibatch gradient over the estimator's noise.
        standard_error: `[]`, of that variance.
        squared_norm: `[]`, |E g|^2, estimated without bias: noise can bring it below 0.
        data_variance: `[]`, trace of the covariance of E g over minibatches of this size; nan for a single datum and
            where the gradients of single data were not at hand, None where every datum has parameters of its own.
        process_variance: `[]`, the variance of the gradient of a single process by its own share of the minibatch, in
            the mean over processes: about their number times `variance`. None where there is but one.
        element_variances: the diagonal of the first covariance, one tensor a parameter; None if it was not asked for.
        road: how the gradients were computed.
        off: the names of layers that are another function in training and were off: dropout.
    """

    variance: Tensor
    standard_error: Tensor
    squared_norm: Tensor
    data_variance: Tensor | None = None
    process_variance: Tensor | None = None
    element_variances: tuple[Tensor, ...] | None = None
    road: Road = "layer by layer"
    off: tuple[str, ...] = ()

    @property
    def snr(self) -> Tensor:
        """|E g|^2 / variance, `[]`; infinite where there is no noise."""
        return self.squared_norm / self.variance


@final
@dataclass(frozen=True, kw_only=True)
class GradientSums:
    """Sums over data from which the statistics of their mean gradient follow; the sums of two shards add up.

    The data's noises are independent, so that the covariance of the mean over B data is 1/B^2 times the sum of theirs.

    Attributes:
        num_repeats: R, the gradients drawn of each datum.
        num_data: `[]`, B. It and what has no other type said below is in float64: squares of squared gradients are
            beyond float32 where the data are of the order of 1e5.
        variance: `[]`, sum of the traces of the covariances of the data's gradients.
        squared_error: `[]`, variance of that sum, as `Trace` has it.
        least_squared_error: `[]`, what it is at least.
        squared_norm: `[]`, sum of |mean of R gradients|^2; nan where the gradients of single data were not at hand.
        gradient: the means of R gradients, in one vector over all parameters: their sum over data where the parameters
            are shared, one after the other where every datum has its own; in the parameters' type.
        shared: whether the data share the parameters.
        element_variances: sum of the variances by element, one tensor a parameter, likewise; None if not asked for.
        road: as in `GradientStatistics`.
        off: as in `GradientStatistics`.
    """

    num_repeats: int
    num_data: Tensor
    variance: Tensor
    squared_error: Tensor
    least_squared_error: Tensor
    squared_norm: Tensor
    gradient: Tensor
    shared: bool
    element_variances: tuple[Tensor, ...] | None = None
    road: Road = "layer by layer"
    off: tuple[str, ...] = ()

    def statistics(self) -> GradientStatistics:
        """The statistics of the mean gradient over all these data, in the precision of the gradient."""
        B, R = self.num_data, self.num_repeats
        variance = self.variance / B.square()
        data_variance = None
        squared_sum = self.squared_norm
        if self.shared:
            squared_sum = squared_length(self.gradient)
            # Spread of the means of R gradients about their mean, without what the estimator's noise adds to it.
            data_variance = (self.squared_norm - squared_sum / B) / (B - 1.0) / B - variance / R
            data_variance = data_variance.where(B > 1.0, torch.nan).to(self.gradient.dtype)
        elements = self.element_variances and tuple(v / B.square().to(v.dtype) for v in self.element_variances)
        return GradientStatistics(
            variance=variance.to(self.gradient.dtype),
            standard_error=_root_of_greater(self.squared_error, self.least_squared_error, B).to(self.gradient.dtype),
            squared_norm=(squared_sum / B.square() - variance / R).to(self.gradient.dtype),
            data_variance=data_variance,
            element_variances=elements,
            road=self.road,
            off=self.off,
        )


def averaged(measurements: Sequence[GradientStatistics]) -> GradientStatistics:
    """The mean of independent measurements, of one minibatch or of several; without the variances by element."""
    like = measurements[0].variance

    def column(name: str) -> Tensor:
        return torch.stack([getattr(measurement, name) for measurement in measurements])

    return GradientStatistics(
        variance=column("variance").mean(0),
        standard_error=(doubled(column("standard_error")).square().sum(0).sqrt() / len(measurements)).to(like),
        squared_norm=column("squared_norm").mean(0),
        data_variance=None if measurements[0].data_variance is None else column("data_variance").mean(0),
        road=measurements[0].road,
        off=measurements[0].off,
    )


def add(shards: Sequence[GradientSums]) -> GradientSums:
    """The sums over the data of all shards, which have the same number of repeats.

    Where every datum has parameters of its own, what belongs to an element is laid end to end.
    """
    first = shards[0]

    def total(name: str) -> Tensor:
        return torch.stack([getattr(shard, name) for shard in shards]).sum(0)

    def joined(tensors: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(tensors)).sum(0) if first.shared else torch.cat(list(tensors))

    elements = None
    if first.element_variances is not None:
        columns = zip(*(shard.element_variances or () for shard in shards), strict=True)
        elements = tuple(joined(column) for column in columns)
    return GradientSums(
        num_repeats=first.num_repeats,
        num_data=total("num_data"),
        variance=total("variance"),
        squared_error=total("squared_error"),
        least_squared_error=total("least_squared_error"),
        squared_norm=total("squared_norm"),
        gradient=joined([shard.gradient for shard in shards]),
        shared=first.shared,
        element_variances=elements,
        road=first.road,
        off=first.off,
    )


@final
@dataclass(frozen=True, kw_only=True)
class Moments:
    """Inner products and means of R gradients of each of B data, before sums over data are taken.

    Attributes:
        gram: inner products of each datum's gradients, `[B, R, R]`.
        gradient: as in `GradientSums`.
        shared: as in `GradientSums`.
        element_variances: as in `GradientSums`.
    """

    gram: Tensor
    gradient: Tensor
    shared: bool
    element_variances: tuple[Tensor, ...] | None = None


def moments_of_draws(draws: Sequence[Tensor], *, per_element: bool = False) -> Moments:
    """Of R gradients of each of B data with respect to the same parameters, `[B, R, ...]` for each parameter."""
    flat = torch.cat([draw.reshape(*draw.shape[:2], -1) for draw in draws], -1)
    elements = tuple(spread(draw, 1).sum(0) for draw in draws) if per_element else None
    return Moments(gram=flat @ flat.mT, gradient=flat.mean(1).sum(0), shared=True, element_variances=elements)


def moments_of_own_draws(draws: Tensor, *, per_element: bool = False) -> Moments:
    """Of R gradients of each of B data with respect to parameters of its own, `[B, R, ...]`."""
    flat = draws.reshape(*draws.shape[:2], -1)
    elements = (spread(draws, 1),) if per_element else None
    return Moments(gram=flat @ flat.mT, gradient=flat.mean(1).flatten(), shared=False, element_variances=elements)


def sums_of_moments(moments: Mapping[str, Moments]) -> dict[str, GradientSums]:
    """The sums over data, of all groups at once."""
    gram = doubled(torch.stack([of_part.gram for of_part in moments.values()]))
    trace = trace_of(gram)
    columns = torch.stack([trace.value, trace.squared_error, trace.least, gram.mean((2, 3))]).sum(-1)
    num_data = gram.new_tensor(float(gram.shape[1]))
    return {
        name: GradientSums(
            num_repeats=gram.shape[-1],
            num_data=num_data,
            variance=variance,
            squared_error=squared_error,
            least_squared_error=least,
            squared_norm=squared_norm,
            gradient=of_group.gradient,
            shared=of_group.shared,
            element_variances=of_group.element_variances,
        )
        for (name, of_group), variance, squared_error, least, squared_norm in zip(
            moments.items(), *columns.unbind(), strict=True
        )
    }


def spread(draws: Tensor, dim: int) -> Tensor:
    """The unbiased variance over `dim`; many times faster than `Tensor.var` where `dim` is short and not the last."""
    centred = draws - draws.mean(dim, keepdim=True)
    return centred.square_().sum(dim) / (draws.shape[dim] - 1)


FEWEST_REPEATS = 4
"""Two pairs of draws that share none: the fewest for an unbiased estimate of the variance of a variance."""


@final
@dataclass(frozen=True)
class Trace:
    """The trace of a covariance and how well it is known; each `[*]`.

    Attributes:
        value: without bias.
        squared_error: the variance of that value, without bias: noise can bring it below 0.
        least: what the jackknife says times (R-2) / (2R-2). The jackknife is right about what single draws contribute
            and gives (2R-2) / (R-2) times what pairs add, so that in the mean this is never too much.
    """

    value: Tensor
    squared_error: Tensor
    least: Tensor


def trace_of(gram: Tensor) -> Trace:
    """From the inner products `[*, R, R]` of R draws, R at least 4.

    trace = U = mean over pairs of h_rs = 1/2 |g_r - g_s|^2,    var U = E U^2 - E h_rs h_tu with r, s, t, u distinct
    """
    R = gram.shape[-1]
    squares = gram.diagonal(dim1=-2, dim2=-1)
    # Only rounding brings a distance below 0.
    h = (0.5 * (squares.unsqueeze(-1) + squares.unsqueeze(-2)) - gram).clamp_min(0.0)
    rows = h.sum(-1)
    value = rows.mean(-1) / (R - 1)
    # Of all products h_rs h_tu, those that share an index once, 4 (rows^2 - h^2), or twice, 2 h^2, are taken out.
    apart = rows.sum(-1).square() - 4.0 * rows.square().sum(-1) + 2.0 * h.square().sum((-1, -2))
    spread_of_rows = (rows - rows.mean(-1, keepdim=True)).square().sum(-1)
    return Trace(
        value=value,
        squared_error=value.square() - apart / (R * (R - 1) * (R - 2) * (R - 3)),
        least=2.0 * spread_of_rows / (R * (R - 1) ** 2 * (R - 2)),
    )


def from_draws(draws: Sequence[Tensor], *, per_element: bool = False) -> GradientStatistics:
    """The statistics of R independent minibatch gradients, given as one tensor `[R, ...]` for each parameter."""
    num_repeats = len(draws[0])
    flat = [draw.reshape(num_repeats, -1) for draw in draws]
    # About the mean, so that no digits are lost where the noise is small beside the gradient.
    means = [draw.mean(0) for draw in flat]
    centred = [draw - mean for draw, mean in zip(flat, means, strict=True)]
    gram = doubled(torch.stack([draw @ draw.T for draw in centred])).sum(0)
    trace, dtype = trace_of(gram), flat[0].dtype
    squared_norm = torch.stack([squared_length(mean) for mean in means]).sum() - trace.value / num_repeats
    return GradientStatistics(
        variance=trace.value.to(dtype),
        standard_error=_root_of_greater(trace.squared_error, trace.least).to(dtype),
        squared_norm=squared_norm.to(dtype),
        element_variances=tuple(spread(draw, 0) for draw in draws) if per_element else None,
    )


def sums_of_batch_draws(
    draws: Sequence[Tensor], num_data: int, *, shared: bool, per_element: bool = False
) -> GradientSums:
    """The sums of which `statistics()` are those of R independent gradients of the mean over `num_data` data."""
    statistics = from_draws(draws, per_element=per_element)
    B = doubled(statistics.variance.new_tensor(float(num_data)))
    num_repeats, mean = len(draws[0]), torch.cat([draw.mean(0).reshape(-1) for draw in draws])
    elements = statistics.element_variances
    return GradientSums(
        num_repeats=num_repeats,
        num_data=B,
        variance=statistics.variance * B.square(),
        squared_error=doubled(statistics.standard_error).square() * B.pow(4),
        least_squared_error=torch.zeros_like(B),
        squared_norm=torch.full_like(B, torch.nan) if shared else squared_length(mean) * B.square(),
        gradient=mean * float(num_data),
        shared=shared,
        element_variances=None if elements is None else tuple(variance * float(num_data) ** 2 for variance in elements),
    )


def _root_of_greater(squared: Tensor, least: Tensor, num_data: Tensor | float = 1.0) -> Tensor:
    return torch.maximum(squared, least).sqrt() / num_data**2
