"""The one statistical threshold of the suite, and how gradients are drawn to be held against it.

A mean of N independent draws is compared with an exact number in standard errors. At |z| < 5.5 a true equality fails
once in 26 million comparisons. Draws go on until an error of 3 % would be seen at that threshold, in the value, in phi
and in theta; `test_contract.py` plants that error and shows that it is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reparam_suite.estimators import GradientEstimator
from reparam_suite.problems import Problem

LIMIT = 5.5
NUM_REPLICATES = 40_000
MOST_REPLICATES = 200 * NUM_REPLICATES
SEED = 20_260_101

# An error of 3 % is 0.03 * |mean| / se standard errors; the half on top leaves room for the noise of the mean itself.
_PRECISION = 1.5 * LIMIT / 0.03


@dataclass(frozen=True)
class Draws:
    """The mean of independent draws `[...]` and its standard error, by coordinate."""

    mean: Tensor
    standard_error: Tensor

    def z_scores(self, exact: Tensor) -> Tensor:
        """How many standard errors the mean lies from `exact`; where there is no noise, rounding stands in for it."""
        rounding = 1e-9 if self.mean.dtype == torch.float64 else 1e-5
        floor = rounding * exact.abs().max().clamp_min(1.0)
        return (self.mean - exact).abs() / self.standard_error.clamp_min(floor)

    def scaled(self, factor: float) -> "Draws":
        """The same draws with a planted error."""
        return Draws(self.mean * factor, self.standard_error * factor)


@dataclass(frozen=True)
class Measured:
    """What an estimator gave on a problem: its value `[]`, its gradient by phi `[P]` and by theta `[T]`."""

    value: Draws
    phi: Draws
    theta: Draws


def draw_once(
    estimator: GradientEstimator, problem: Problem, num_replicates: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Independent values `[N]`, gradients by phi `[N, P]` and by theta `[N, T]`, in one backward pass."""
    phi = problem.phi.to(dtype).expand(num_replicates, -1).clone().requires_grad_()
    theta = problem.theta.to(dtype).expand(num_replicates, -1).clone().requires_grad_()
    objective = estimator(problem.expectation(phi, theta)).objective
    return objective.detach(), *torch.autograd.grad(objective.sum(), (phi, theta))


def measure(estimator: GradientEstimator, problem: Problem, dtype: torch.dtype = torch.float64) -> Measured:
    """Draws until an error of 3 % in the value, phi or theta would show, from `NUM_REPLICATES` to `MOST_REPLICATES`."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        sums = squares = None
        num_draws = 0
        while num_draws < MOST_REPLICATES:
            value, *gradients = draw_once(estimator, problem, NUM_REPLICATES, dtype)
            drawn = [value.unsqueeze(-1).double(), *(each.double() for each in gradients)]
            if sums is None:
                # Moments are taken about the first mean, so that no digits are lost to cancellation.
                centres = [each.mean(0) for each in drawn]
                sums = [torch.zeros_like(each) for each in centres]
                squares = [torch.zeros_like(each) for each in centres]
            for i, each in enumerate(drawn):
                sums[i] += (each - centres[i]).sum(0)
                squares[i] += (each - centres[i]).square().sum(0)
            num_draws += NUM_REPLICATES
            means = [c + s / num_draws for c, s in zip(centres, sums, strict=True)]
            errors = [
                ((s2 - s.square() / num_draws) / (num_draws - 1)).clamp_min(0).sqrt() / num_draws**0.5
                for s, s2 in zip(sums, squares, strict=True)
            ]
            if all((m.abs() > _PRECISION * e).any() for m, e in zip(means, errors, strict=True)):
                break
    blocks = [Draws(m.to(dtype), e.to(dtype)) for m, e in zip(means, errors, strict=True)]
    return Measured(blocks[0], blocks[1], blocks[2])
