"""Runs that differ in their seed alone, side by side."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from reparam_suite.comparison.quantities import Quantity, Value
from reparam_suite.tracking import RecordedRun

# Options in which repetitions of one run may differ, or which other options say as well.
_NOT_PART = (
    "seed",
    "seeds",
    "num_threads",
    "compile",
    "config",
    "name",
    "tags",
    "tracking",
    "record",
    "checkpoint",
    "data.init_args.seed",
)


@final
@dataclass(frozen=True)
class Group:
    """Runs of one configuration.

    Args:
        setting: model, data set and objective: numbers of different settings do not compare.
        estimator: as the runs are tagged.
        differences: options in which other groups of the same estimator have other values.
        runs: one for each seed.
        repeated: how many earlier runs of the same seed are left out, by seed.
    """

    setting: str
    estimator: str
    differences: Mapping[str, str]
    runs: Sequence[RecordedRun]
    repeated: Mapping[str, int]

    @property
    def label(self) -> str:
        """The estimator, and what distinguishes the group from others of it."""
        told = ", ".join(f"{_short_name(name)}={_short_value(value)}" for name, value in self.differences.items())
        return f"{self.estimator} ({told})" if told else self.estimator

    def value(self, quantity: Quantity) -> Value | None:
        """Mean and error of a quantity, over the runs that have it; None if none has."""
        values = [run.metrics[quantity.metric] for run in self.runs if quantity.metric in run.metrics]
        return Value.of(values) if values else None


def grouped(runs: Sequence[RecordedRun]) -> list[Group]:
    """The groups of the runs, those of a setting together, in the order in which they began.

    Of runs of one configuration and one seed the latest counts, since the others are no further evidence. Data of
    another digest are another setting; a run on data without a digest is a group of its own.
    """
    digests: defaultdict[str, set[str]] = defaultdict(set)
    for run in runs:
        digests[_setting(run)].add(run.digest or "")
    settings: defaultdict[str, defaultdict[str, list[RecordedRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        setting = _setting(run)
        if len(digests[setting]) > 1:
            setting += f", data {run.digest or 'without a digest'}"
        settings[setting][run.tags.get("estimator", "-")].append(run)
    return [
        group
        for setting, estimators in settings.items()
        for estimator, own in estimators.items()
        for group in _configurations(setting, estimator, own)
    ]


def _configurations(setting: str, estimator: str, runs: Sequence[RecordedRun]) -> list[Group]:
    configurations = {run.run_id: _configuration(run) for run in runs}
    names = {name for options in configurations.values() for name in options}
    varied = sorted(
        name for name in names if len({configuration.get(name) for configuration in configurations.values()}) > 1
    )
    groups: defaultdict[tuple[str | None, ...], list[RecordedRun]] = defaultdict(list)
    for run in runs:
        groups[tuple(configurations[run.run_id].get(name) for name in varied)].append(run)
    found = []
    for values, own in groups.items():
        differences = {name: value for name, value in zip(varied, values, strict=True) if value is not None}
        found.append(Group(setting, estimator, differences, *_latest(own)))
    return found


def _configuration(run: RecordedRun) -> dict[str, str]:
    options = {
        name: value
        for name, value in run.options.items()
        if not any(name == excluded or name.startswith(f"{excluded}.") for excluded in _NOT_PART)
    }
    return options if run.digest else options | {"run": run.run_id[:8]}


def _latest(runs: Sequence[RecordedRun]) -> tuple[list[RecordedRun], dict[str, int]]:
    # The runs began in this order. Without a seed on record nothing says that two are the same.
    by_seed: dict[tuple[str, ...], RecordedRun] = {}
    repeated: dict[str, int] = {}
    for run in runs:
        seed = run.options.get("seed", run.tags.get("seed"))
        key = (run.run_id,) if seed is None else (seed, run.options.get("data.init_args.seed", ""))
        if by_seed.pop(key, None) is not None and seed is not None:
            repeated[seed] = repeated.get(seed, 0) + 1
        by_seed[key] = run
    return list(by_seed.values()), repeated


def _setting(run: RecordedRun) -> str:
    told = [run.tags.get(name) for name in ("model", "dataset", "objective")]
    return ", ".join(name for name in told if name) or "-"


_NOT_SAID = ("init_args", "class_path", "model", "estimator")


def _short_name(option: str) -> str:
    return ".".join(part for part in option.split(".") if part not in _NOT_SAID) or "estimator"


def _short_value(value: str) -> str:
    return value.rsplit(".", 1)[-1] if value.startswith("reparam_suite.") else value
