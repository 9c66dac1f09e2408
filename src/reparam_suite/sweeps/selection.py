"""From the runs of a sweep to the rows of a table: choice on one metric, report of others."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.sweeps.table import Column, Table

if TYPE_CHECKING:
    from pandas import DataFrame

Spread = Literal["std", "standard_error"]

# Metrics whose smallest value is the best.
_SMALL = re.compile(r"variance|loss|bias|^time/|^memory/|^cost/|error|mse")


def summarised(
    frame: "DataFrame",
    *,
    arguments: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    select: str | None,
    over: Sequence[str],
    spread: Spread,
) -> Table:
    """The table; see `SweepResult.table`."""
    _check(frame, arguments, rows, columns, select, over, spread)
    finished = frame[frame["status"] == "FINISHED"]
    names = [*rows, *over]
    metrics = [column.removeprefix("-") for column in columns]
    entries = []
    for _, group in finished.groupby(list(rows), sort=False, dropna=False):
        chosen = _chosen(group, select, over) if select is not None else group
        entry: dict[str, Any] = {name: chosen[name].iloc[0] for name in names}
        for metric in metrics:
            entry |= _mean_and_spread(metric, chosen[metric], spread)
        entries.append({**entry, "n": len(chosen)})
    from pandas import DataFrame

    titles = [title for metric in metrics for title in (metric, f"{metric} {spread}")]
    told = [Column(metric, smallest_is_best=_is_small(column)) for metric, column in zip(metrics, columns, strict=True)]
    return Table(
        frame=DataFrame(entries, columns=[*names, *titles, "n"]),
        labels=tuple(names),
        columns=tuple(told),
        spread=spread,
    )


def _check(
    frame: "DataFrame",
    arguments: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    select: str | None,
    over: Sequence[str],
    spread: str,
) -> None:
    if spread not in get_args(Spread):
        raise ArgumentValueError(f"spread: expected std or standard_error, got {spread}")
    if (select is None) != (not over):
        raise ArgumentValueError(f"select: expected a metric together with over=, got select={select}, over={over}")
    for what, names in (("rows", rows), ("over", over)):
        if unknown := [name for name in names if name not in arguments]:
            raise ArgumentValueError(
                f"{what}: expected arguments of the grid ({_listed(arguments)}), got {_listed(unknown)}"
            )
    if not rows or not columns:
        raise ArgumentValueError(f"{'columns' if rows else 'rows'}: expected at least one, got none")
    if both := set(rows) & set(over):
        raise ArgumentValueError(f"over: expected arguments that are not in rows, got {_listed(both)}")
    metrics = [column.removeprefix("-") for column in [*columns, *([select] if select else [])]]
    known = [name for name in frame.columns if name not in (*arguments, "seed", "run_id", "status", "reason")]
    if unknown := [metric for metric in metrics if metric not in known]:
        raise ArgumentValueError(f"columns: expected metrics of the runs ({_listed(known)}), got {_listed(unknown)}")
    for name in arguments:
        if name not in (*rows, *over) and (several := frame[name].nunique(dropna=False)) > 1:
            raise ArgumentValueError(
                f"rows: expected every argument with several values in rows or over, got none for {name}, which has "
                f"{several}"
            )


def _chosen(group: "DataFrame", select: str, over: Sequence[str]) -> "DataFrame":
    # Runs that failed or diverged make no mean: values of which no run is left are not chosen.
    sign = -1.0 if _is_small(select) else 1.0
    metric = select.removeprefix("-")
    several = [own for _, own in group.groupby(list(over), sort=False, dropna=False)]
    return max(several, key=lambda own: _score(own[metric], sign))


def _score(values: Any, sign: float) -> float:
    mean = float(values.mean(skipna=False))
    return sign * mean if math.isfinite(mean) else -math.inf


def _is_small(column: str) -> bool:
    return column.startswith("-") or _SMALL.search(column) is not None


def _mean_and_spread(metric: str, values: Any, spread: Spread) -> dict[str, float]:
    finite = all(map(math.isfinite, values))
    deviation = float(values.std(ddof=1)) if finite and len(values) > 1 else math.nan
    own = deviation if spread == "std" else deviation / math.sqrt(len(values))
    return {metric: float(values.mean(skipna=False)), f"{metric} {spread}": own}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
