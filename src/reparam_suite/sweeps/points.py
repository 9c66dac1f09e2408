"""Values of metrics at a step: `train/elbo@6000` is the value of train/elbo that was recorded at step 6,000."""

import re
from collections.abc import Iterable, Sequence

from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.tracking import RecordedRun, Store

_POINT = re.compile(r"[^@]+@\d+")


def is_point(name: str) -> bool:
    """Whether a name is that of a metric at a step.

    Raises:
        ValueError: if it has an @, and is none.
    """
    if "@" in name and not _POINT.fullmatch(name):
        raise ArgumentValueError(f"columns: expected METRIC or METRIC@STEP, got {name}")
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
    """The values of metrics, the last ones or those at a step, by run id and name; those that there are.

    Raises:
        ValueError: if a name has an @, and is that of no metric at a step.
    """
    points = [name for name in names if is_point(name)]
    found = points_of(store, [run.run_id for run in runs], points)
    for run in runs:
        found[run.run_id] |= {name: run.metrics[name] for name in names if name in run.metrics}
    return found
