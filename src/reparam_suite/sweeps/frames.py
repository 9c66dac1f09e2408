"""The runs of a sweep as a table, a row for each."""

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reparam_suite.sweeps.grid import Cell
from reparam_suite.sweeps.records import CELL, ERROR, expressions_of, newest
from reparam_suite.tracking import RecordedRun

if TYPE_CHECKING:
    from pandas import DataFrame


def frame_of(
    cells: Sequence[Cell],
    arguments: Sequence[str],
    runs: Sequence[RecordedRun],
    *,
    kept: Mapping[str, Mapping[str, float]] | None = None,
    reasons: Mapping[str, str] | None = None,
    misfits: Mapping[str, str] | None = None,
) -> "DataFrame":
    """One row per cell: its arguments, seed, run_id, status, reason and metrics.

    Args:
        cells: in the order of the rows.
        arguments: of all cells.
        runs: of the sweep, the newest first; the newest finished one of a cell counts, else the newest.
        kept: metrics of cells whose run is on record elsewhere, by the cell's key.
        reasons: of failures, by the cell's key.
        misfits: reasons why no run can be made, by the cell's key.
    """
    from pandas import DataFrame

    kept, reasons, misfits = kept or {}, reasons or {}, misfits or {}
    finished, last = newest(runs, "FINISHED"), {run.tags[CELL]: run for run in reversed(runs) if CELL in run.tags}
    rows: list[dict[str, Any]] = []
    for cell in cells:
        key = cell.key
        state: dict[str, Any] = {"run_id": None, "status": "MISSING", "reason": None}
        if key in misfits:
            state |= {"status": "SKIPPED", "reason": misfits[key]}
        elif key in finished:
            state |= {"run_id": finished[key].run_id, "status": "FINISHED", **finished[key].metrics}
        elif key in kept:
            state |= {"status": "FINISHED", **kept[key]}
        elif key in last:
            reason = reasons.get(key) or last[key].tags.get(ERROR)
            state |= {"run_id": last[key].run_id, "status": "FAILED" if reason else last[key].status, "reason": reason}
        elif key in reasons:
            state |= {"status": "FAILED", "reason": reasons[key]}
        rows.append({**cell.row, **state})
    first = [*arguments, "seed", "run_id", "status", "reason"]
    metrics = sorted({name for row in rows for name in row} - set(first))
    return DataFrame(rows, columns=[*first, *metrics])


def recorded_cells(runs: Sequence[RecordedRun]) -> list[Cell]:
    """The cells of runs on record, in the order in which they were first begun.

    Args:
        runs: the newest first.
    """
    found: dict[str, Cell] = {}
    for run in reversed(runs):
        if CELL in run.tags and run.seed is not None:
            expressions = expressions_of(run)
            values = {name: _value(text) for name, text in expressions.items()}
            found.setdefault(run.tags[CELL], Cell(values, expressions, run.seed))
    return list(found.values())


def _value(expression: str) -> Any:
    # Of numbers and text; an object stays its expression.
    try:
        return ast.literal_eval(expression)
    except (ValueError, SyntaxError):
        return expression
