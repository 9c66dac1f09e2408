"""The spread of the expected gradient over minibatches, with its standard error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from reparam_suite.diagnostics.batches import Batch, num_data, split_evenly
from reparam_suite.diagnostics.datumwise import mixture_of_data
from reparam_suite.diagnostics.gradients import DEFAULT_REPEATS, Measurement
from reparam_suite.diagnostics.measured_model import MeasuredModel
from reparam_suite.diagnostics.measuring import checked_repeats, measuring
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET
from reparam_suite.diagnostics.statistics import GradientSums
from reparam_suite.diagnostics.wide_numbers import doubled

DEFAULT_GROUPS = 10
"""Groups of data, each left out once: the standard error is then itself known to a quarter."""


@final
@dataclass(frozen=True, kw_only=True)
class DataVariance:
    """The variance of the gradient over the choice of data; both fields are `[]` and stay on the device.

    Attributes:
        value: trace of the covariance of E g over minibatches of as many data, estimated without bias: the estimator's
            noise is taken off, which can bring it below 0.
        standard_error: of that value.
    """

    value: Tensor
    standard_error: Tensor


def grouped_sums(
    model: MeasuredModel,
    batch: Batch,
    num_repeats: int = DEFAULT_REPEATS,
    *,
    num_groups: int = DEFAULT_GROUPS,
    per_element: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
) -> dict[str, list[GradientSums]]:
    """The sums of `gradient_sums`, one for each of `num_groups` groups of the data, by name.

    `add` of the groups gives the sums over all data. Groups are as equal as can be, and of one datum each
    where there are fewer data than groups; data that share latents or are mixed stay in one group. Nothing of the
    training moves.

    Raises:
        ValueError: as `gradient_sums`, or if `num_groups` is below 3.
    """
    checked_repeats(num_repeats)
    if num_groups < 3:
        raise ValueError(f"num_groups: expected at least 3, for a standard error, got {num_groups}")
    groups: dict[str, list[GradientSums]] = {}
    with measuring(model):
        measurement = Measurement(model, batch)
        whole = measurement.road == "whole batch" or mixture_of_data(model, batch) is not None
        for data in [batch] if whole else split_evenly(batch, min(num_groups, num_data(batch))):
            sums = measurement.sums(data, num_repeats, per_element=per_element, memory_budget=memory_budget)
            for name, of_part in sums.items():
                groups.setdefault(name, []).append(of_part)
    return groups


def data_variance(groups: Sequence[GradientSums]) -> DataVariance:
    """From the sums over groups of data that share the parameters; the standard error leaves out one at a time.

    With m_b the mean of R gradients of datum b, sum_b |m_b|^2 - |sum_b m_b|^2 / B over B - 1 is the spread of single
    data, the estimator's noise over R included. nan where fewer than two data are left.

    Raises:
        ValueError: if every datum has parameters of its own.
    """
    if not all(group.shared for group in groups):
        raise ValueError(
            "groups: expected sums of a gradient with respect to parameters that all data share, got each datum's own"
        )
    repeats = groups[0].num_repeats
    counts = torch.stack([group.num_data for group in groups])
    noise = torch.stack([group.variance for group in groups])
    squares = torch.stack([group.squared_norm for group in groups])
    gradients = torch.stack([group.gradient for group in groups])
    scale = gradients.abs().amax().clamp_min(torch.finfo(gradients.dtype).tiny)
    products = doubled((gradients / scale) @ (gradients / scale).T) * doubled(scale).square()

    def spread(count: Tensor, noise: Tensor, squares: Tensor, squared_sum: Tensor) -> Tensor:
        value = (squares - squared_sum / count) / (count - 1.0) - noise / count / repeats
        return value.where(count > 1.0, torch.nan)

    whole = [of_groups.sum() for of_groups in (counts, noise, squares, products)]
    without_each = spread(
        whole[0] - counts,
        whole[1] - noise,
        whole[2] - squares,
        whole[3] - 2.0 * products.sum(-1) + products.diagonal(),
    )
    G = len(groups)
    squared_error = (without_each - without_each.mean()).square().sum() * (G - 1) / G
    value, error = spread(*whole) / whole[0], squared_error.sqrt() / whole[0]
    return DataVariance(value=value.to(gradients.dtype), standard_error=error.to(gradients.dtype))
