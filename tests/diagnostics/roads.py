"""The textbook's statistics of explicit gradients, and when two measurements agree."""

import torch
from tests.statistics import LIMIT
from torch import Tensor

from reparam_suite.diagnostics import GradientStatistics
from reparam_suite.diagnostics.batches import num_data
from reparam_suite.diagnostics.datumwise import explicit_gradients
from reparam_suite.diagnostics.measuring import measuring

ROUNDING = 1e-9


def reference(model, x: Tensor, num_repeats: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Trace, |E g|^2 and variances by element from all gradients of all data, by the textbook."""
    with measuring(model):
        drawn = explicit_gradients(model, x, num_repeats)
    result, B = {}, num_data(x)
    for name, gradients in drawn.by_group.items():
        flat = torch.cat([gradient.reshape(B, num_repeats, -1) for gradient in gradients], -1)
        elements = flat.var(1).sum(0) / B**2
        mean = flat.mean((0, 1))
        result[name] = (elements.sum(), mean.square().sum() - elements.sum() / num_repeats, elements)
    for name, gradients in drawn.by_q.items():
        elements = gradients.var(1) / B**2
        squares = gradients.mean(1).square().sum() / B**2
        result[name] = (elements.sum(), squares - elements.sum() / num_repeats, elements.flatten())
    return result


def assert_same_variance(a: GradientStatistics, b: GradientStatistics, name: str) -> None:
    error = (a.standard_error.square() + b.standard_error.square()).sqrt()
    rounding = ROUNDING * (a.squared_norm.abs() + b.squared_norm.abs())
    assert (a.variance - b.variance).abs() <= LIMIT * error + rounding, name
    # |E g|^2 has the standard error 2 |E g| sd / sqrt(R) and then some.
    noise = 4.0 * (a.squared_norm.abs() * b.variance / 100).sqrt() + 4.0 * b.variance / 100
    assert (a.squared_norm - b.squared_norm).abs() <= LIMIT * noise + rounding, name
