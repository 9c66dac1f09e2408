"""The problems that an estimator is checked on: those that it fits and whose exact gradient is affordable."""

import logging
from collections.abc import Iterator

from reparam_suite.estimators import Average, Bound, GradientEstimator, LogMeanExp
from reparam_suite.problems import Problem
from reparam_suite.problems.catalogue import MOST_SAMPLES, PROBLEMS

_log = logging.getLogger(__name__)


def fitting_problems(estimator: GradientEstimator) -> list[Problem]:
    """The suite's problems that the estimator fits, with every bound that it supports.

    Multi-sample bounds come with the K of the estimator, on the problems whose exact value is affordable at that K; a
    bound that is left out for that reason is named in the log.

    Raises:
        ValueError: if the estimator fits none.
    """
    problems = list(_fitting(estimator))
    if not problems:
        raise ValueError(
            f"{type(estimator).__name__} fits none of the suite's problems: expected a q of bits, one-hot, normal, "
            f"gamma, beta, Dirichlet or von Mises latents, and for a multi-sample bound num_samples of at most 2 "
            f"(discrete latents: 4), got num_samples {estimator.num_samples}; give problems of your own as `problems`"
        )
    return problems


def _fitting(estimator: GradientEstimator) -> Iterator[Problem]:
    num_samples = estimator.num_samples
    for bound in supported_bounds(estimator):
        if isinstance(bound, Average):
            yield from (problem for problem in (kind() for kind in PROBLEMS) if is_fitting(estimator, problem))
            continue
        fitting = [kind for kind in MOST_SAMPLES if is_fitting(estimator, kind(bound=bound, num_samples=num_samples))]
        affordable = [kind for kind in fitting if num_samples <= MOST_SAMPLES[kind]]
        if fitting and not affordable:
            _log.warning(
                "%s was not checked on %s: its exact value needs num_samples of at most %d, got %d",
                type(estimator).__name__,
                type(bound).__name__,
                max(MOST_SAMPLES[kind] for kind in fitting),
                num_samples,
            )
        yield from (kind(bound=bound, num_samples=num_samples) for kind in affordable)


def supported_bounds(estimator: GradientEstimator) -> list[Bound]:
    """One bound of each class that the estimator supports, Average first."""
    return [bound for bound in (Average(), LogMeanExp()) if isinstance(bound, estimator.bounds)]


def is_fitting(estimator: GradientEstimator, problem: Problem) -> bool:
    """Whether the estimator's mathematics allows the problem's q."""
    q = problem.q(problem.phi.expand(2, -1))
    return estimator.fits(q) is None
