"""`check_estimator`: the contract of `GradientEstimator` as a test of anyone's estimator."""

import logging
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from reparam_suite.estimators import GradientEstimator
from reparam_suite.problems import Problem
from reparam_suite.testing.assertions import expect, expect_close, is_close
from reparam_suite.testing.promises import PROMISES, name_of
from reparam_suite.testing.replicates import Measured, measure
from reparam_suite.testing.selection import fitting_problems
from reparam_suite.testing.statistics import LIMIT, MOST_ROUNDS, NUM_REPLICATES, Draws, draw_until_precise
from reparam_suite.testing.training_steps import has_moving_state, second_steps

# A sample that met its own value at the second step would take away up to half of the gradient: seen by these.
_NUM_SECOND_STEPS = 2_000

_log = logging.getLogger(__name__)


def check_estimator(
    estimator: GradientEstimator,
    *,
    num_replicates: int = NUM_REPLICATES,
    problems: Sequence[Problem] | None = None,
) -> None:
    """Checks an estimator against its contract, on small problems whose value and gradient are known exactly.

    First, without statistics: `evaluations` is the number of rows that f is handed; the objective is `[*B]`, the
    control loss `[]` and zero; float32 stays float32; no datum depends on another; an f that ignores z is exact; the
    control loss reaches the estimator's own parameters and nothing else; state stands still in eval mode.

    Then the means of the value and of both gradients are compared with exact numbers, at |z| < 5.5 standard errors.
    An estimator that declares a bias, or a relaxed value, must be seen to have it on at least one problem. One that
    declares `differentiates_f = False` is given an f whose gradient does not reach z. Where buffers move in training
    mode, the mean at the second step is compared, too: no sample may meet its own value in what is remembered.

    All of this happens on deep copies, which have taken ten steps in training mode where the means are drawn.

    Args:
        estimator: the estimator; its learned parts, if any, not yet materialised.
        num_replicates: independent draws at a time. More are drawn, up to 200 times as many, until an error of 3 %
            would show; where it still would not, the log says so.
        problems: those to check on; by default all of the suite's that it fits, multi-sample bounds at the estimator's
            K where that is small.

    Raises:
        AssertionError: saying which promise is not kept, on which problem, and by how many standard errors.
        ValueError: if it fits none of the suite's problems.
    """
    problems = fitting_problems(estimator) if problems is None else list(problems)
    with torch.random.fork_rng():
        for problem in problems:
            for promise in PROMISES:
                promise(estimator, problem)
        _check_second_steps(estimator, problems[0])
        bias_seen = relaxation_seen = False
        for problem in problems:
            value_is_exact, gradient_is_exact = _check_means(estimator, problem, num_replicates)
            relaxation_seen |= not value_is_exact
            bias_seen |= not gradient_is_exact
    name, where = type(estimator).__name__, ", ".join(str(problem) for problem in problems)
    if not estimator.unbiased:
        expect(bias_seen, f"{name}, unbiased = False", f"a bias of its gradient on one of {where}", "none")
    if estimator.relaxed:
        expect(relaxation_seen, f"{name}, relaxed = True", f"another value than the bound on one of {where}", "none")


def _check_means(estimator: GradientEstimator, problem: Problem, num_replicates: int) -> tuple[bool, bool]:
    # Whether the value and the gradient are exact within the threshold; raises where they are declared so and are not.
    measured = measure(with_past(estimator, problem), problem, num_replicates=num_replicates, most_rounds=MOST_ROUNDS)
    exact = _exact(problem)
    subject = name_of(estimator, problem)
    close = {name: is_close(getattr(measured, name), exact[name]) for name in exact}
    if not estimator.relaxed:
        expect_close(f"value of {subject}", measured.value, exact["value"])
    if estimator.unbiased:
        for name in ("phi", "theta"):
            expect_close(f"gradient with respect to {name} of {subject}", getattr(measured, name), exact[name])
    _log_precision(subject, measured)
    return close["value"], close["phi"] and close["theta"]


def _check_second_steps(estimator: GradientEstimator, problem: Problem) -> None:
    if not estimator.unbiased or not has_moving_state(estimator, problem):
        return
    blocks = draw_until_precise(lambda: second_steps(estimator, problem, _NUM_SECOND_STEPS), most_rounds=1)
    exact = _exact(problem)
    where = f"{name_of(estimator, problem)} in training mode, one datum at the second step"
    for name, draws in zip(("phi", "theta"), blocks, strict=True):
        expect_close(f"gradient with respect to {name} of {where}", draws, exact[name])


def with_past(estimator: GradientEstimator, problem: Problem, num_steps: int = 10) -> GradientEstimator:
    """A deep copy in eval mode, after some steps on the problem: what it remembers of the past is no longer zero."""
    tried = deepcopy(estimator).double().train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        target = problem.expectation(problem.phi.expand(20, -1), problem.theta.expand(20, -1))
        for _ in range(num_steps):
            tried(target)
    return tried.eval()


def _exact(problem: Problem) -> dict[str, Tensor]:
    phi, theta = problem.phi.requires_grad_(), problem.theta.requires_grad_()
    value = problem.exact_value(phi, theta)
    by_phi, by_theta = torch.autograd.grad(value, (phi, theta))
    return {"value": value.detach(), "phi": by_phi, "theta": by_theta}


def _log_precision(subject: str, measured: Measured) -> None:
    for name in ("value", "phi", "theta"):
        draws: Draws = getattr(measured, name)
        if not draws.show_three_percent():
            shares = LIMIT * draws.standard_error / draws.mean.abs()
            smallest = shares.nan_to_num(nan=torch.inf).min().item()  # of a gradient that is zero no error is seen
            _log.warning("%s of %s: only an error of %.2g %% would be seen", name, subject, 100.0 * smallest)
