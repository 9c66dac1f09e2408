"""The contracts as tests that anyone can run on an estimator, a distribution or an objective of their own."""

from reparam_suite.testing.estimators import check_estimator

__all__ = ["check_estimator"]
