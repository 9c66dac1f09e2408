"""From the runs of a sweep to the rows of a table: choice on one metric, report of others."""

import math
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, get_args

from reparam_suite.comparison.significance import holm, welch
from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.sweeps.points import check_metrics
from reparam_suite.sweeps.table import Column, Table

if TYPE_CHECKING:
    from pandas import DataFrame

Spread = Literal["std", "standard_error"]

# Metrics that are positive and spread by factors: their logarithms are tested.
_POSITIVE = re.compile(r"variance|^time/|^memory/|^cost/")

# Names that a message proposes in the place of an unknown one.
_NEAREST = 3

# Metrics whose smallest value is the best.
_SMALL = re.compile(r"variance|loss|bias|^time/(?!.*per_second)|^memory/|^cost/|error|mse")


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
    check_names(arguments, rows=rows, columns=columns, select=select, over=over, spread=spread)
    metrics = [column.removeprefix("-") for column in [*columns, *([select] if select else [])]]
    _check_recorded(frame, arguments, metrics)
    check_arguments_shown(frame, arguments, (*rows, *over))
    names = [*rows, *over]
    told = [Column(column.removeprefix("-"), smallest_is_best=_is_small(column)) for column in columns]
    groups = [
        _chosen(group, select, over) if select is not None else _finished(group)
        for _, group in frame.groupby(list(rows), sort=False, dropna=False)
        if not _finished(group).empty
    ]
    entries: list[dict[str, Any]] = [{name: group[name].iloc[0] for name in names} for group in groups]
    for column in told:
        samples = [[float(value) for value in group[column.metric]] for group in groups]
        p_values = _against_best(samples, column)
        for entry, values, p in zip(entries, samples, p_values, strict=True):
            entry |= _mean_and_spread(column.metric, values, spread)
            entry[f"{column.metric} p"] = p
    for entry, group in zip(entries, groups, strict=True):
        entry["n"] = len(group)
    from pandas import DataFrame

    titles = [f"{column.metric}{suffix}" for column in told for suffix in ("", f" {spread}", " p")]
    return Table(
        frame=DataFrame(entries, columns=[*names, *titles, "n"]),
        labels=tuple(names),
        columns=tuple(told),
        spread=spread,
    )


def _against_best(samples: Sequence[Sequence[float]], column: Column) -> list[float]:
    # Of Welch's test of each row against the one with the best mean, with Holm's correction; NaN where there is none.
    means = [math.fsum(values) / len(values) for values in samples]
    first = column.best(means)
    tested = [
        position
        for position, values in enumerate(samples)
        if first is not None and min(len(values), len(samples[first])) > 1 and all(map(math.isfinite, values))
    ]
    others = [position for position in tested if position != first]
    p_values = [math.nan] * len(samples)
    if first is not None:
        positive = _POSITIVE.search(column.metric) is not None
        found = [welch(samples[first], samples[position], positive=positive) for position in others]
        for position, p in zip(others, holm(found), strict=True):
            p_values[position] = p
    return p_values


def check_names(
    arguments: Sequence[str],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    select: str | None,
    over: Sequence[str],
    spread: str,
) -> None:
    """Refuses what no sweep over these arguments has a table of, whatever its runs have recorded.

    Raises:
        ArgumentValueError: naming what is accepted.
    """
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
    check_metrics("columns", [column.removeprefix("-") for column in columns])
    if select is not None:
        check_metrics("select", [select.removeprefix("-")])
    for what, names in (("rows", rows), ("over", over)):
        if twice := next((name for name in names if [*names].count(name) > 1), None):
            raise ArgumentValueError(f"{what}: expected each once, got {twice} twice")
    if both := set(rows) & set(over):
        raise ArgumentValueError(f"over: expected arguments that are not in rows, got {_listed(both)}")


def _check_recorded(frame: "DataFrame", arguments: Sequence[str], metrics: Sequence[str]) -> None:
    known = [name for name in frame.columns if name not in (*arguments, "seed", "run_id", "status", "reason")]
    for metric in metrics:
        if metric not in known:
            nearest = _listed(get_close_matches(metric, known, _NEAREST, 0.0)) or "none"
            raise ArgumentValueError(f"columns: expected metrics of the runs, the nearest {nearest}, got {metric}")


def check_arguments_shown(frame: "DataFrame", arguments: Sequence[str], keys: Sequence[str]) -> None:
    """Refuses a table that would take the mean over several values of an argument.

    Args:
        frame: has the arguments of all runs as columns.
        arguments: of the grid.
        keys: those that the table shows or chooses.

    Raises:
        ArgumentValueError: naming the argument.
    """
    for name in arguments:
        if name in keys:
            continue
        if (several := frame.groupby([*keys], dropna=False)[name].nunique(dropna=False).max()) > 1:
            raise ArgumentValueError(
                f"rows: expected every argument with several values in rows or over, got none for {name}, which has "
                f"{several}"
            )


def _chosen(group: "DataFrame", select: str, over: Sequence[str]) -> "DataFrame":
    # Values of which a run failed or diverged are chosen where there are no others.
    sign = -1.0 if _is_small(select) else 1.0
    metric = select.removeprefix("-")
    several = [own for _, own in group.groupby(list(over), sort=False, dropna=False) if not _finished(own).empty]
    sound = [own for own in several if not (own["status"] == "FAILED").any()]
    return max(map(_finished, sound or several), key=lambda own: _score(own[metric], sign))


def _finished(group: "DataFrame") -> "DataFrame":
    return group[group["status"] == "FINISHED"]


def _score(values: Any, sign: float) -> float:
    mean = float(values.mean(skipna=False))
    return sign * mean if math.isfinite(mean) else -math.inf


def _is_small(column: str) -> bool:
    return column.startswith("-") or _SMALL.search(column) is not None


def _mean_and_spread(metric: str, values: Sequence[float], spread: Spread) -> dict[str, float]:
    mean = math.fsum(values) / len(values)
    deviation = math.nan
    if len(values) > 1 and math.isfinite(mean):
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    own = deviation if spread == "std" else deviation / math.sqrt(len(values))
    return {metric: mean, f"{metric} {spread}": own}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
