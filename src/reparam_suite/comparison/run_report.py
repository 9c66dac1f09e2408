"""The report of a comparison of runs: a table on the screen, and the same numbers as CSV, figures and a page."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, final

from rich.console import Console
from rich.table import Table

from reparam_suite.comparison.groups import Group
from reparam_suite.comparison.quantities import Quantity, Value, columns_of, is_finite
from reparam_suite.comparison.significance import TEST, best
from reparam_suite.figures import Band, band, banded_curves, gradient_cost
from reparam_suite.figures.page import curves_section, page, parallel_section, scatter_section, table_section
from reparam_suite.runtime.terminal import as_text
from reparam_suite.tracking import RecordedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Histories = Mapping[str, Sequence[tuple[int, float]]]

CURVES = {"val/elbo": "validation ELBO, nats", "grad/encoder/variance": "variance of the encoder's gradient"}


@final
class RunReport:
    """Groups of runs, and how they are shown.

    Args:
        title: above the page.
        groups: to show.
        histories: of each metric of CURVES, by run.
    """

    def __init__(self, title: str, groups: Sequence[Group], histories: Mapping[str, Histories]) -> None:
        self._title = title
        self._settings: dict[str, list[Group]] = {}
        for group in groups:
            self._settings.setdefault(group.setting, []).append(group)
        for own in self._settings.values():  # one order for table and figures
            own.sort(key=_place)
        self._histories = histories

    def show(self, console: Console) -> None:
        """Prints a table for each setting, and notes."""
        for setting, groups in self._settings.items():
            columns, rows = _cells(groups)
            table = Table(title=as_text(setting), title_justify="left", title_style="bold")
            for position, column in enumerate(columns):
                table.add_column(column, justify="right" if position else "left", overflow="fold")
            for row in rows:
                table.add_row(*map(as_text, row))
            console.print(table)
        for line in self.notes():
            console.print(line, soft_wrap=True, markup=False)

    def notes(self) -> Iterator[str]:
        """Lines under the tables: how to read them, and which runs do not count."""
        yield f"mean ± standard error over runs; * the best of its column: {TEST}"
        groups = [group for own in self._settings.values() for group in own]
        for group in groups:
            for seed, number in group.repeated.items():
                yield f"{group.label}: seed {seed} was run {number + 1} times, the latest run counts"
        if any(not run.digest for group in groups for run in group.runs):
            yield "runs on data without a digest are not grouped: nothing says that their data are the same"

    def csv(self) -> str:
        """A line for each group, numbers in full."""
        columns = columns_of(_runs([group for own in self._settings.values() for group in own]))
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        suffixes = ("", " standard error", " runs", " best")
        told = [f"{quantity.metric}{suffix}" for quantity in columns for suffix in suffixes]
        lines.writerow(["setting", "estimator", "options", "runs", *told])
        for setting, own in self._settings.items():
            firsts = {quantity: best(own, quantity) for quantity in columns}
            for group in own:
                cells: list[object] = []
                for quantity in columns:
                    value = group.value(quantity)
                    cells += [value.mean, value.standard_error, len(value.values)] if value else ["", "", 0]
                    cells.append(firsts[quantity] is group)
                options = "; ".join(f"{name}={value}" for name, value in group.differences.items())
                lines.writerow([setting, group.estimator, options, len(group.runs), *cells])
        return text.getvalue()

    def figures(self) -> "list[tuple[str, Figure]]":
        """Names and figures: curves with bands, and variance against cost."""
        found: list[tuple[str, Figure]] = []
        for number, groups in enumerate(self._settings.values()):
            suffix = f"_{number + 1}" if len(self._settings) > 1 else ""
            for metric, quantity in CURVES.items():
                if bands := self._bands(groups, metric):
                    logarithmic = metric.startswith("grad/")
                    name = f"{metric.replace('/', '_')}{suffix}"
                    found.append((name, banded_curves(bands, quantity=quantity, logarithmic=logarithmic)))
            if points := _costs(groups):
                found.append((f"variance_against_cost{suffix}", gradient_cost(points, cost_of="step")))
        return found

    def page(self) -> str:
        """Tables and figures as one HTML file."""
        sections = []
        for setting, groups in self._settings.items():
            columns, rows = _cells(groups)
            sections.append(table_section(setting, columns, rows, "; ".join(self.notes())))
            for metric, quantity in CURVES.items():
                if bands := self._bands(groups, metric):
                    title, logarithmic = quantity[:1].upper() + quantity[1:], metric.startswith("grad/")
                    sections.append(curves_section(title, bands, quantity=quantity, logarithmic=logarithmic))
            if points := _costs(groups):
                dots = {name: point[:2] for name, point in points.items()}
                sections.append(scatter_section("Variance against cost", dots, x="ms per step", y="variance"))
            if columns_of_runs := _parallel(groups):
                sections.append(parallel_section("Every run", columns_of_runs, coloured_by=list(columns_of_runs)[-1]))
        return page(self._title, sections)

    def _bands(self, groups: Sequence[Group], metric: str) -> dict[str, Band]:
        # A run that diverged has no place in a mean; the line says over how many it is.
        found, histories = {}, self._histories[metric]
        for group in groups:
            curves = [histories[run.run_id] for run in group.runs if run.run_id in histories]
            drawn = [curve for curve in curves if all(is_finite(value) for _, value in curve)]
            label = group.label if len(drawn) == len(curves) else f"{group.label}, {len(drawn)} of {len(curves)} runs"
            try:
                found[label] = band(drawn)
            except ValueError:  # nothing in common, and so nothing to draw
                continue
        return found


def _runs(groups: Sequence[Group]) -> list[RecordedRun]:
    return [run for group in groups for run in group.runs]


def _cells(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    columns = columns_of(_runs(groups))
    firsts = {quantity: best(groups, quantity) for quantity in columns}
    rows = []
    for group in groups:
        cells = [
            _cell(group.value(quantity), len(group.runs), marked=firsts[quantity] is group) for quantity in columns
        ]
        rows.append([group.label, str(len(group.runs)), *cells])
    return ["estimator", "runs", *[quantity.title for quantity in columns]], rows


def _cell(value: Value | None, num_runs: int, *, marked: bool) -> str:
    """Mean and error, over how many runs where it is not all of them, and what the others' values are."""
    if value is None:
        return "-"
    others = "; ".join(dict.fromkeys(f"{number:.3g}" for number in map(_shown_infinity, value.diverged)))
    if not value.values:
        return others
    number = len(value.values)
    counted = [f"{number} of {num_runs} runs"] if number < num_runs else []
    told = "; ".join([*counted, *([others] if others else [])])
    return _mean(value) + (f" ({told})" if told else "") + (" *" if marked else "")


def _mean(value: Value) -> str:
    if math.isnan(value.standard_error):
        return f"{value.mean:.4g}"
    if value.standard_error == 0.0:
        return f"{value.mean:.4g} ± 0"
    decimals = 1 - math.floor(math.log10(value.standard_error))
    if 0 <= decimals <= 4 and abs(value.mean) < 1e9:
        return f"{value.mean:,.{decimals}f} ± {value.standard_error:.{decimals}f}"
    return f"{value.mean:.3g} ± {value.standard_error:.1g}"


def _shown_infinity(value: float) -> float:
    # MLflow has infinity as the largest float.
    return math.copysign(math.inf, value) if abs(value) > 1e308 else value


def _place(group: Group) -> float:
    # By the bound, the best first.
    bounds = [quantity for quantity in columns_of(group.runs) if quantity.better == "higher"]
    means = [value.mean for quantity in bounds if (value := group.value(quantity)) and value.values]
    return -means[0] if means else math.inf


def _costs(groups: Sequence[Group]) -> dict[str, tuple[float, float, float]]:
    # Milliseconds per step, variance and its standard error over runs.
    found = {}
    by_metric = {quantity.metric: quantity for quantity in columns_of(_runs(groups))}
    if not {"time/ms_per_step", "grad/encoder/variance"} <= set(by_metric):
        return {}
    for group in groups:
        cost, variance = group.value(by_metric["time/ms_per_step"]), group.value(by_metric["grad/encoder/variance"])
        if cost and variance and cost.mean > 0 and variance.mean > 0:  # not where either is NaN
            found[group.label] = (cost.mean, variance.mean, variance.standard_error)
    return found


def _parallel(groups: Sequence[Group]) -> dict[str, list[float | str]]:
    # What varies, and the result, a value for each run that did not diverge.
    columns: list[Quantity] = columns_of(_runs(groups))[:1]
    if not columns:
        return {}
    metric = columns[0].metric
    runs = [(group, run) for group in groups for run in group.runs if is_finite(run.metrics.get(metric, math.nan))]
    names = list(dict.fromkeys(name for group in groups for name in group.differences))
    found: dict[str, list[float | str]] = {}
    if len({group.estimator for group, _ in runs}) > 1:
        found["estimator"] = [group.estimator for group, _ in runs]
    for name in names:
        found[name.rsplit(".", 1)[-1]] = _numbers([run.options.get(name, "-") for _, run in runs])
    if not found or not runs:
        return {}
    found["ms per step"] = [run.metrics.get("time/ms_per_step", math.nan) for _, run in runs]
    found[columns[0].title] = [run.metrics[metric] for _, run in runs]
    return found


def _numbers(texts: Sequence[str]) -> list[float | str]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return list(texts)
