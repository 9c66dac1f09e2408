"""The contracts as tests that anyone can run on an estimator, a distribution or an objective of their own."""

from reparam_suite.testing.distributions import check_distribution
from reparam_suite.testing.estimators import check_estimator
from reparam_suite.testing.objectives import check_objective

__all__ = ["check_distribution", "check_estimator", "check_objective"]
