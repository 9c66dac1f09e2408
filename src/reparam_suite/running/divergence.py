"""Whether training has diverged: values that are absurd though they are finite."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from reparam_suite.training import Journal

FACTOR = 100.0
"""A curve has diverged if it ends below its best value by this many times the largest of 1, that and its first one.

An ELBO of data that are scaled badly is far below zero and rises; one that has diverged falls by orders of magnitude.
"""


@final
@dataclass(frozen=True)
class Divergence:
    """A metric that has diverged.

    Args:
        name: of the metric.
        step: at which it was first beyond.
        last: its last value.
        best: the step of the weights that were kept; None where none were.
    """

    name: str
    step: int
    last: float
    best: int | None

    def __str__(self) -> str:
        kept = "" if self.best is None else f", the best weights are those of step {self.best}"
        return f"diverged at step {self.step}: {self.name} is {self.last:.3g} at the end{kept}"


def divergence(journal: Journal, monitor: str | None) -> Divergence | None:
    """Of the objective in training and the monitored metric the first one to diverge, if any has."""
    best = None if monitor is None else journal.latest(f"{monitor.removeprefix('-')}_best_step")
    found = []
    for name, sign in _curves(journal, monitor):
        curve = [(step, sign * value) for step, value in journal.curves[name]]
        finite = [value for _, value in curve if math.isfinite(value)]
        highest, first = max(finite, default=0.0), abs(finite[0]) if finite else 1.0
        limit = highest - FACTOR * max(1.0, first, abs(highest))
        if not curve[-1][1] >= limit:  # NaN is not
            step = next(step for step, value in curve if not value >= limit)
            found.append(Divergence(name, step, sign * curve[-1][1], None if best is None else int(best)))
    return min(found, key=lambda point: point.step, default=None)


def _curves(journal: Journal, monitor: str | None) -> Iterator[tuple[str, float]]:
    # With the sign that makes the largest value the best. What the objective is called is the model's affair.
    for name in journal.curves:
        kind = name.removeprefix("train/").removeprefix("relaxed_")
        if name.startswith("train/") and (kind in ("elbo", "objective", "loss") or kind.startswith("bound_")):
            yield name, -1.0 if name == "train/loss" else 1.0
    if monitor is not None and monitor.removeprefix("-") in journal.curves:
        yield monitor.removeprefix("-"), -1.0 if monitor.startswith("-") else 1.0
