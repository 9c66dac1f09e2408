"""Rows of a comparison of gradients with chosen numbers, for tests of what is made of them."""

import torch

from reparam_suite.comparison.estimator_training import TrainingCost
from reparam_suite.comparison.gradient_comparison import GradientComparison
from reparam_suite.diagnostics import EstimatorRow, GradientBias, GradientStatistics
from reparam_suite.diagnostics.cost import GradientCost


def statistics(variance: float, error: float, squared_norm: float = 8.0) -> GradientStatistics:
    return GradientStatistics(
        variance=torch.tensor(variance), standard_error=torch.tensor(error), squared_norm=torch.tensor(squared_norm)
    )


def bias(squared: float, error: float, reference_error: float = 0.0) -> GradientBias:
    """Of a gradient against a reference of length 2."""
    numbers = {
        "squared_bias": squared,
        "squared_bias_error": error,
        "cosine": 0.9876,
        "cosine_error": 0.004,
        "reference_squared_norm": 4.0,
        "reference_error": reference_error,
    }
    return GradientBias(**{name: torch.tensor(number) for name, number in numbers.items()})


def row(name: str, variance: float, *, ms: float = 2.0, unbiased: bool = True, **given) -> EstimatorRow:
    """Of two parts; the decoder's variance is half of the encoder's."""
    return EstimatorRow(
        name=name,
        unbiased=unbiased,
        closed_form=False,
        cost=GradientCost(evaluations=4, milliseconds=ms, peak_bytes=3 * 2**20),
        statistics=given.get("statistics")
        or {"encoder": statistics(variance, 0.04 * variance), "decoder": statistics(0.5 * variance, 0.02 * variance)},
        bias=given.get("bias", {}),
    )


def comparison(*rows: EstimatorRow, **given) -> GradientComparison:
    states = {row.name: "none" for row in rows} | given.pop("learned_parts", {})
    return GradientComparison(
        rows=rows,
        parts=("encoder", "decoder"),
        left_out=given.pop("left_out", {}),
        learned_parts=states,
        own=given.pop("own", None),
        reference=given.pop("reference", ""),
        num_estimators=given.pop("num_estimators", len(rows)),
        **given,
    )


COST = TrainingCost(steps=300, evaluations=1200, milliseconds=4567.8)
