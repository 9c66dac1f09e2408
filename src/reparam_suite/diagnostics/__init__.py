"""What an estimator costs: the variance of its gradient, its bias, its time; and what the latents are used for."""

from reparam_suite.diagnostics.gradients import gradient_statistics
from reparam_suite.diagnostics.naive import naive_gradient_statistics
from reparam_suite.diagnostics.statistics import GradientStatistics

__all__ = ["GradientStatistics", "gradient_statistics", "naive_gradient_statistics"]
