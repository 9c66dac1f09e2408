"""Comparisons: gradients of many estimators on one model; finished runs, grouped."""

from reparam_suite.comparison.compare import compare_gradients, comparisons
from reparam_suite.comparison.gradient_comparison import GradientComparison

__all__ = ["GradientComparison", "compare_gradients", "comparisons"]
