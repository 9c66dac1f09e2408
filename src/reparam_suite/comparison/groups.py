"""Runs that differ in their seed alone, side by side: means, standard errors, and what is surely the best."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from reparam_suite.tracking import RecordedRun

Better: TypeAlias = Literal["higher", "lower"]

SIGNIFICANCE = 0.05
TEST = "Welch's t-test of the best against each other row, two-sided, Holm's correction, level 5 %"

# What two runs may differ in and still be repetitions of one another, or the same thing told another way.
_NOT_PART = (
    "seed",
    "seeds",
    "num_threads",
    "compile",
    "config",
    "tracking",
    "record",
    "checkpoint",
    "data.init_args.seed",
)


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


_QUANTITIES = (
    Quantity("test/elbo", "test ELBO", "higher", positive=False),
    Quantity("val/elbo", "val ELBO", "higher", positive=False),
    Quantity("grad/encoder/variance", "variance", "lower", positive=True),
    Quantity("grad/encoder/work_normalized_variance", "variance x ms", "lower", positive=True),
    Quantity("time/ms_per_step", "ms a step", "lower", positive=True),
)


@final
@dataclass(frozen=True)
class Value:
    """A mean over runs.

    Args:
        mean: of the runs that have the quantity.
        standard_error: of the mean; NaN for a single run.
        values: of each run.
    """

    mean: float
    standard_error: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Value":
        """The mean of at least one value, and its error."""
        number, mean = len(values), math.fsum(values) / len(values)
        if number == 1:
            return cls(mean, math.nan, tuple(values))
        spread = math.fsum((each - mean) ** 2 for each in values) / (number - 1)
        return cls(mean, math.sqrt(spread / number), tuple(values))


@final
@dataclass(frozen=True)
class Group:
    """Runs of one configuration.

    Args:
        setting: model, dataset and bound: numbers of different settings do not compare.
        estimator: as the runs are tagged.
        differences: options in which other groups of the same estimator have other values.
        runs: one for each seed.
    """

    setting: str
    estimator: str
    differences: Mapping[str, str]
    runs: Sequence[RecordedRun]

    @property
    def label(self) -> str:
        """The estimator, and what tells the group from others of it."""
        told = ", ".join(f"{_short_name(name)}={_short_value(value)}" for name, value in self.differences.items())
        return f"{self.estimator} ({told})" if told else self.estimator

    def value(self, quantity: Quantity) -> Value | None:
        """Mean and error of a quantity, over the runs that have it."""
        values = [run.metrics[quantity.metric] for run in self.runs if quantity.metric in run.metrics]
        finite = [each for each in values if math.isfinite(each)]
        return Value.of(finite) if finite else None


def grouped(runs: Sequence[RecordedRun]) -> list[Group]:
    """The groups of the runs, those of a setting together, in the order in which they began."""
    settings: defaultdict[str, defaultdict[str, list[RecordedRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        settings[_setting(run)][run.tags.get("estimator", "-")].append(run)
    return [
        group
        for setting, estimators in settings.items()
        for estimator, own in estimators.items()
        for group in _configurations(setting, estimator, own)
    ]


def _configurations(setting: str, estimator: str, runs: Sequence[RecordedRun]) -> list[Group]:
    configurations = {run.run_id: _configuration(run) for run in runs}
    names = {name for each in configurations.values() for name in each}
    varied = sorted(name for name in names if len({each.get(name) for each in configurations.values()}) > 1)
    groups: defaultdict[tuple[str | None, ...], list[RecordedRun]] = defaultdict(list)
    for run in runs:
        groups[tuple(configurations[run.run_id].get(name) for name in varied)].append(run)
    return [
        Group(setting, estimator, {n: v for n, v in zip(varied, values, strict=True) if v is not None}, own)
        for values, own in groups.items()
    ]


def _configuration(run: RecordedRun) -> dict[str, str]:
    return {
        name: value
        for name, value in run.parameters.items()
        if not any(name == each or name.startswith(f"{each}.") for each in _NOT_PART)
    }


def _setting(run: RecordedRun) -> str:
    tags = run.tags
    told = [tags.get(name) for name in ("model", "dataset", "bound")]
    return ", ".join(each for each in told if each) or "-"


def quantities(groups: Sequence[Group]) -> list[Quantity]:
    """The columns that some run has; validation counts where nothing was tested."""
    metrics = {name for group in groups for run in group.runs for name in run.metrics}
    bounds = sorted((name for name in metrics if name.startswith("test/bound_")), key=lambda name: (len(name), name))
    columns = [each for each in _QUANTITIES if each.metric in metrics]
    if "test/elbo" in metrics:
        columns = [each for each in columns if each.metric != "val/elbo"]
    told = [Quantity(name, f"bound, K = {name.rsplit('_', 1)[-1]}", "higher", positive=False) for name in bounds]
    return columns[:1] + told + columns[1:]


def best(groups: Sequence[Group], quantity: Quantity) -> Group | None:
    """The group that is better than every other of its setting by more than the noise; see TEST.

    None where that cannot be said: a single group, fewer than two runs in one, or a difference within the noise.
    """
    values = [(group, group.value(quantity)) for group in groups]
    told = [(group, value) for group, value in values if value is not None]
    if len(told) < 2 or any(len(value.values) < 2 for _, value in told):
        return None
    sign = 1.0 if quantity.better == "higher" else -1.0
    first, *others = sorted(told, key=lambda each: -sign * each[1].mean)
    p_values = sorted(_welch(first[1], other, quantity) for _, other in others)
    sure = all(p * (len(others) - rank) < SIGNIFICANCE for rank, p in enumerate(p_values))
    return first[0] if sure else None


def _welch(one: Value, other: Value, quantity: Quantity) -> float:
    from scipy.stats import ttest_ind  # slow to import, and not needed for --help

    def scale(values: Sequence[float]) -> list[float]:
        return [math.log(each) if each > 0 else -math.inf for each in values] if quantity.positive else list(values)

    left, right = scale(one.values), scale(other.values)
    if len(set(left)) == len(set(right)) == 1:  # no spread at all: a test would divide by zero
        return 0.0 if left[0] != right[0] else 1.0
    p = float(ttest_ind(left, right, equal_var=False).pvalue)
    return p if math.isfinite(p) else 1.0


_NOT_SAID = ("init_args", "class_path", "model", "estimator")


def _short_name(option: str) -> str:
    return ".".join(part for part in option.split(".") if part not in _NOT_SAID) or "estimator"


def _short_value(value: str) -> str:
    return value.rsplit(".", 1)[-1] if value.startswith("reparam_suite.") else value
