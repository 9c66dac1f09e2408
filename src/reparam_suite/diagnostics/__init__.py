"""Diagnostics: the variance of a model's gradient, its bias and its cost; the use of its latents."""

from reparam_suite.diagnostics.bias import GradientBias, gradient_bias
from reparam_suite.diagnostics.common_checkpoint import NUM_ROUNDS, EstimatorRow, measure, ranked
from reparam_suite.diagnostics.cost import GradientCost, gradient_cost
from reparam_suite.diagnostics.gradients import Measurement, gradient_statistics, gradient_sums
from reparam_suite.diagnostics.latents import (
    DiscreteLatentUse,
    LatentUse,
    NormalLatentUse,
    kl_per_latent,
    latent_use,
    latents_of,
)
from reparam_suite.diagnostics.many_samples import EstimatedBound, bound_of_many_samples, bounds_of_samples
from reparam_suite.diagnostics.measured_model import MeasuredModel, trained_parameters
from reparam_suite.diagnostics.measuring import estimated_by, incompatibility, measuring
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET, MemoryBudgetError
from reparam_suite.diagnostics.metrics import GradientNoise, gradient_noise, statistics_over_processes
from reparam_suite.diagnostics.minibatches import DataVariance, data_variance, grouped_sums
from reparam_suite.diagnostics.path import PathVariance
from reparam_suite.diagnostics.reference import (
    ReferenceGradient,
    exact_reference,
    reference_gradients,
    unbiased_reference,
)
from reparam_suite.diagnostics.statistics import FEWEST_REPEATS, GradientStatistics, GradientSums, Road, add
from reparam_suite.diagnostics.whole_batch import naive_gradient_statistics

__all__ = [
    "DEFAULT_BUDGET",
    "FEWEST_REPEATS",
    "NUM_ROUNDS",
    "DataVariance",
    "DiscreteLatentUse",
    "EstimatedBound",
    "EstimatorRow",
    "GradientBias",
    "GradientCost",
    "GradientNoise",
    "GradientStatistics",
    "GradientSums",
    "LatentUse",
    "MeasuredModel",
    "Measurement",
    "MemoryBudgetError",
    "NormalLatentUse",
    "PathVariance",
    "ReferenceGradient",
    "Road",
    "add",
    "bound_of_many_samples",
    "bounds_of_samples",
    "data_variance",
    "estimated_by",
    "exact_reference",
    "gradient_bias",
    "gradient_cost",
    "gradient_noise",
    "gradient_statistics",
    "gradient_sums",
    "grouped_sums",
    "incompatibility",
    "kl_per_latent",
    "latent_use",
    "latents_of",
    "measure",
    "measuring",
    "naive_gradient_statistics",
    "ranked",
    "reference_gradients",
    "statistics_over_processes",
    "trained_parameters",
    "unbiased_reference",
]
