"""What an estimator costs: the variance of its gradient, its bias, its time; and what the latents are used for."""

from reparam_suite.diagnostics.basket import NUM_ROUNDS, BasketRow, measure, misfit, ranked
from reparam_suite.diagnostics.bias import GradientBias, gradient_bias
from reparam_suite.diagnostics.cost import GradientCost, gradient_cost
from reparam_suite.diagnostics.gradients import gradient_statistics, gradient_sums
from reparam_suite.diagnostics.latents import DiscreteLatentUse, LatentUse, NormalLatentUse, latent_use
from reparam_suite.diagnostics.many_samples import EstimatedBound, bound_of_many_samples, bounds_of_samples
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET, MemoryBudgetError
from reparam_suite.diagnostics.metrics import GradientNoise, gradient_noise, statistics_over_processes
from reparam_suite.diagnostics.minibatches import DataVariance, data_variance, grouped_sums
from reparam_suite.diagnostics.naive import naive_gradient_statistics
from reparam_suite.diagnostics.path import PathVariance
from reparam_suite.diagnostics.reference import (
    ReferenceGradient,
    exact_reference,
    reference_gradients,
    unbiased_reference,
)
from reparam_suite.diagnostics.statistics import FEWEST_REPEATS, GradientStatistics, GradientSums, add

__all__ = [
    "DEFAULT_BUDGET",
    "FEWEST_REPEATS",
    "NUM_ROUNDS",
    "BasketRow",
    "DataVariance",
    "DiscreteLatentUse",
    "EstimatedBound",
    "GradientBias",
    "GradientCost",
    "GradientNoise",
    "GradientStatistics",
    "GradientSums",
    "LatentUse",
    "MemoryBudgetError",
    "NormalLatentUse",
    "PathVariance",
    "ReferenceGradient",
    "add",
    "bound_of_many_samples",
    "bounds_of_samples",
    "data_variance",
    "exact_reference",
    "gradient_bias",
    "gradient_cost",
    "gradient_noise",
    "gradient_statistics",
    "gradient_sums",
    "grouped_sums",
    "latent_use",
    "measure",
    "misfit",
    "naive_gradient_statistics",
    "ranked",
    "reference_gradients",
    "statistics_over_processes",
    "unbiased_reference",
]
