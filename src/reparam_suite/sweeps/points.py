"""Values of metrics at a step: `train/elbo@6000` is the value of train/elbo that was recorded at step 6,000."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.tracking import RecordedRun, Store

_POINT = re.compile(r"[^@]+@\d+")


def check_metrics(what: str, names: Iterable[str]) -> None:
    """Refuses names that are neither those of a metric nor of a metric at a step, and those that are there twice.

    Args:
        what: the argument that has them.
        names: METRIC or METRIC@STEP.

    Raises:
        ValueError: with the name.
    """
    seen: set[str] = set()
    for name in names:
        if "@" in name and not _POINT.fullmatch(name):
            raise ArgumentValueError(f"{what}: expected METRIC or METRIC@STEP, got {name}")
        if name in seen:
            raise ArgumentValueError(f"{what}: expected each once, got {name} twice")
        seen.add(name)


def is_point(name: str) -> bool:
    """Whether a name is that of a metric at a step."""
    return "@" in name


def points_of(store: Store, run_ids: Sequence[str], names: Iterable[str]) -> dict[str, dict[str, float]]:
    """The values of metrics at a step, by run id and name; those that there are.

    Args:
        store: of the runs.
        run_ids: of the runs.
        names: METRIC@STEP.
    """
    found: dict[str, dict[str, float]] = {run_id: {} for run_id in run_ids}
    by_metric: dict[str, list[tuple[str, int]]] = {}
    for name in names:
        metric, _, step = name.partition("@")
        by_metric.setdefault(metric, []).append((name, int(step)))
    for metric, wanted in by_metric.items():
        for run_id, curve in store.histories(list(found), metric).items():
            values = dict(curve)
            found[run_id] |= {name: values[step] for name, step in wanted if step in values}
    return found


def values_of(store: Store, runs: Sequence[RecordedRun], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The values of metrics, the last ones or those at a step, by run id and name; those that there are."""
    points = [name for name in names if is_point(name)]
    found = points_of(store, [run.run_id for run in runs], points)
    for run in runs:
        found[run.run_id] |= {name: run.metrics[name] for name in names if name in run.metrics}
    return found


def not_recorded(store: Store, run: RecordedRun, names: Iterable[str]) -> Iterator[str]:
    """Which metrics, and which steps of metrics, a run has not recorded; each with the nearest that it has.

    Args:
        store: of the run.
        run: a finished one.
        names: METRIC or METRIC@STEP.
    """
    steps: defaultdict[str, list[int]] = defaultdict(list)
    for name in dict.fromkeys(names):
        metric, _, point = name.partition("@")
        steps[metric] += [int(point)] if point else []
    for metric, wanted in steps.items():
        if metric not in run.metrics:
            near = get_close_matches(metric, run.metrics, 1)
            yield f"{metric}, did you mean {near[0]}?" if near else metric
            continue
        there = {step for step, _ in store.histories([run.run_id], metric)[run.run_id]} if wanted else set()
        for step in wanted:
            if step not in there:
                yield f"{metric} at step {step}, the nearest is {min(there, key=lambda other: abs(other - step))}"
