"""The columns of a table of runs, and their values: means over runs, with those apart that are no finite numbers."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from reparam_suite.tracking import RecordedRun

Better: TypeAlias = Literal["higher", "lower"]

LARGEST = 1e150
"""In absolute value: beyond it a square is no float, and the run has diverged. MLflow has infinity as 1.8e308."""


@final
@dataclass(frozen=True)
class Quantity:
    """A column of the table.

    Args:
        metric: its name on record.
        title: above the column.
        better: which way is good.
        positive: whether it is a positive number that spreads by factors; it is then tested in logarithms.
    """

    metric: str
    title: str
    better: Better
    positive: bool


@final
@dataclass(frozen=True)
class Value:
    """A mean over runs.

    Attributes:
        mean: of the runs whose value is finite; NaN if none is.
        standard_error: of the mean; NaN for fewer than two runs.
        values: of the runs whose value is finite.
        diverged: the values that are NaN, infinite or beyond LARGEST.
    """

    mean: float
    standard_error: float
    values: tuple[float, ...]
    diverged: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> "Value":
        """The mean of the finite ones, and its error."""
        finite: list[float] = []
        diverged: list[float] = []
        for value in values:
            (finite if is_finite(value) else diverged).append(value)
        number = len(finite)
        mean = math.fsum(finite) / number if number else math.nan
        error = math.nan
        if number > 1:
            error = math.sqrt(math.fsum((value - mean) ** 2 for value in finite) / (number - 1) / number)
        return cls(mean, error, tuple(finite), tuple(diverged))


def is_finite(value: float) -> bool:
    """Whether a value on record is a number that can be averaged."""
    return math.isfinite(value) and abs(value) < LARGEST


def columns_of(runs: Sequence[RecordedRun]) -> list[Quantity]:
    """The columns that some run has; validation counts where nothing was tested."""
    metrics = dict.fromkeys(sorted(name for run in runs for name in run.metrics))
    bounds = sorted((name for name in metrics if name.startswith("test/bound_")), key=lambda name: (len(name), name))
    first = [_ELBO["test"] if "test/elbo" in metrics else _ELBO["val"]]
    monitors = dict.fromkeys(run.tags["monitor"] for run in runs if "monitor" in run.tags)
    found = [
        *first,
        *(Quantity(name, f"bound, K = {name.rsplit('_', 1)[-1]}", "higher", positive=False) for name in bounds),
        *(_monitored(monitor) for monitor in monitors if monitor != "val/elbo"),
        *_of_gradients(metrics),
        Quantity("time/ms_per_step", "ms per step", "lower", positive=True),
    ]
    return [quantity for quantity in found if quantity.metric in metrics]


_ELBO = {split: Quantity(f"{split}/elbo", f"{split} ELBO", "higher", positive=False) for split in ("test", "val")}


def _monitored(monitor: str) -> Quantity:
    metric = monitor.removeprefix("-")
    return Quantity(metric, metric, "lower" if monitor.startswith("-") else "higher", positive=False)


def _of_gradients(metrics: Iterable[str]) -> list[Quantity]:
    # Of the encoder; of every part where a model has none.
    parts = [name.split("/")[1] for name in metrics if name.startswith("grad/") and name.endswith("/variance")]
    shown = ["encoder"] if "encoder" in parts or not parts else parts
    return [
        Quantity(f"grad/{part}/{metric}", title if part == "encoder" else f"{title}, {part}", "lower", positive=True)
        for part in shown
        for metric, title in (("variance", "variance"), ("work_normalized_variance", "variance x ms"))
    ]
