"""The exact value of a problem at its own point."""

from torch import Tensor

from reparam_suite.problems import Problem


def value(problem: Problem) -> Tensor:
    return problem.exact_value(problem.phi, problem.theta)
