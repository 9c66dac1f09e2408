"""Summary runs: one for each combination of a sweep, with the means and deviations of its runs as metrics.

They are no trainings: the tag `summary` says so, and no estimator is named.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reparam_suite.sweeps.grid import Cell, combinations_of
from reparam_suite.sweeps.records import value_tags
from reparam_suite.tracking import RecordedRun, Store
from reparam_suite.tracking.views import KIND
from reparam_suite.tracking.views import SUMMARY as A_SUMMARY

if TYPE_CHECKING:
    from pandas import DataFrame

SUMMARY, SUMMARISED, _COMBINATION = "summary", "sweep.summary", "sweep.combination"
_NUMBER = "n"


def summarise(store: Store, sweep: str, cells: Sequence[Cell], frame: "DataFrame") -> int:
    """Records the summaries of combinations that have more finished runs than at the last time; returns how many.

    A metric has the name that it has in the runs; its standard deviation over them is NAME_std; `n` is their number,
    and the step.

    Args:
        store: of the sweep.
        sweep: its name.
        cells: of all runs.
        frame: a row for each cell, as a result has it.
    """
    known = {run.tags[_COMBINATION]: run for run in store.tagged_runs(SUMMARISED, sweep)}
    rows = dict(zip((cell.key for cell in cells), frame.to_dict("records"), strict=True))
    recorded = 0
    for combination, own in combinations_of(cells).items():
        # Results that a file alone has are no runs of this store.
        finished = [
            row for row in (rows[cell.key] for cell in own) if row["status"] == "FINISHED" and _is_run(row["run_id"])
        ]
        digest = hashlib.sha256(json.dumps(sorted(own[0].expressions.items())).encode()).hexdigest()[:16]
        before = known.get(digest)
        if finished and (before is None or before.metrics.get(_NUMBER) != len(finished)):
            _record(store, sweep, combination, own[0], digest, before, finished)
            recorded += 1
    return recorded


def _is_run(run_id: Any) -> bool:
    return isinstance(run_id, str)


def _record(
    store: Store,
    sweep: str,
    combination: str,
    cell: Cell,
    digest: str,
    before: RecordedRun | None,
    finished: Sequence[dict[str, Any]],
) -> None:
    if before is None:
        logger = store.start_run(
            name=f"{sweep}: {combination}"[:250],
            parameters={"sweep": sweep, **cell.expressions},
            tags={
                KIND: A_SUMMARY,
                SUMMARY: "sweep",
                SUMMARISED: sweep,
                _COMBINATION: digest,
                **value_tags(cell.expressions),
            },
        )
    else:
        logger = store.resume_run(before.run_id)
    try:
        logger.log_metrics({**dict(_statistics(finished)), _NUMBER: float(len(finished))}, step=len(finished))
    except BaseException:
        logger.close("FAILED")
        raise
    logger.close("FINISHED")


def _statistics(finished: Sequence[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    metrics = [name for name, value in finished[0].items() if isinstance(value, float) and "/" in name]
    for name in metrics:
        values = [float(row[name]) for row in finished]
        if not all(map(math.isfinite, values)):
            continue
        mean = math.fsum(values) / len(values)
        yield name, mean
        if len(values) > 1:
            yield f"{name}_std", math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
