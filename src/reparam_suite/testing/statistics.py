"""The one statistical threshold of the suite, and means of independent draws with their standard errors.

A mean of N independent draws is compared with an exact number in standard errors. At |z| < 5.5 a true equality fails
once in 26 million comparisons. Draws are added until an error of 3 % would be seen at that threshold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LIMIT = 5.5
NUM_REPLICATES = 40_000
MOST_ROUNDS = 200
SEED = 20_260_101

# An error of 3 % is 0.03 * |mean| / se standard errors; the half on top leaves room for the noise of the mean itself.
_PRECISION = 1.5 * LIMIT / 0.03


@dataclass(frozen=True)
class Draws:
    """The mean of independent draws `[...]` and its standard error, by coordinate."""

    mean: Tensor
    standard_error: Tensor

    def z_scores(self, exact: Tensor) -> Tensor:
        """Distance of the mean from `exact` in standard errors; where there is no noise, rounding stands in for it."""
        rounding = 1e-9 if self.mean.dtype == torch.float64 else 1e-5
        floor = rounding * exact.abs().max().clamp_min(1.0)
        return (self.mean - exact).abs() / self.standard_error.clamp_min(floor)

    def scaled(self, factor: float) -> "Draws":
        """The same draws with a planted error."""
        return Draws(self.mean * factor, self.standard_error * factor)

    def minus(self, other: "Draws") -> "Draws":
        """The difference from the mean of other, independent draws."""
        variance = self.standard_error.square() + other.standard_error.square()
        return Draws(self.mean - other.mean, variance.sqrt())

    def show_three_percent(self) -> bool:
        """Whether an error of 3 % would be seen in at least one coordinate."""
        return bool((self.mean.abs() > _PRECISION * self.standard_error).any())


class Moments:
    """Mean and standard error of draws that arrive in parts, `[N, ...]` each, without losing digits to cancellation."""

    def __init__(self) -> None:
        self.num_draws = 0
        self._centre = self._sum = self._squares = torch.zeros((), dtype=torch.float64)

    def add(self, drawn: Tensor) -> None:
        """Counts further draws, `[N, ...]`, in float64."""
        drawn = drawn.detach().double()
        if self.num_draws == 0:
            self._centre = drawn.mean(0)
        centred = drawn - self._centre
        self._sum = self._sum + centred.sum(0)
        self._squares = self._squares + centred.square().sum(0)
        self.num_draws += len(drawn)

    def draws(self) -> Draws:
        """The mean of all draws so far and its standard error."""
        variance = (self._squares - self._sum.square() / self.num_draws).clamp_min(0) / (self.num_draws - 1)
        return Draws(self._centre + self._sum / self.num_draws, (variance / self.num_draws).sqrt())


def draw_until_precise(draw: Callable[[], Sequence[Tensor]], most_rounds: int = MOST_ROUNDS) -> list[Draws]:
    """Calls `draw` until an error of 3 % would be seen in every block, at most `most_rounds` times.

    Args:
        draw: returns independent draws of each block, `[N, ...]`.
        most_rounds: the number of calls after which what was drawn has to do.
    """
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        moments: list[Moments] = []
        for _ in range(most_rounds):
            drawn = draw()
            moments = moments or [Moments() for _ in drawn]
            for block, new in zip(moments, drawn, strict=True):
                block.add(new)
            if all(block.draws().show_three_percent() for block in moments):
                break
    return [block.draws() for block in moments]
