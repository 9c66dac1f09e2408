"""What a comparison of runs found: a table for the eye, and the same numbers as CSV, figures and a page."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reparam_suite.comparison.groups import TEST, Group, Value, best, quantities
from reparam_suite.figures import Band, band, banded_curves, gradient_cost
from reparam_suite.figures.page import curves_section, page, parallel_section, scatter_section, table_section

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
        """Prints a table for each setting."""
        for setting, groups in self._settings.items():
            columns, rows = self._cells(groups)
            table = Table(title=escape(setting), title_justify="left", title_style="bold")
            for position, column in enumerate(columns):
                table.add_column(column, justify="right" if position else "left", overflow="fold")
            for row in rows:
                table.add_row(*map(escape, row))
            console.print(table)
        console.print(self._note(), soft_wrap=True, markup=False)

    def csv(self) -> str:
        """A line a group, numbers in full."""
        groups = [group for each in self._settings.values() for group in each]
        columns = quantities(groups)
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        told = [f"{each.metric}{suffix}" for each in columns for suffix in ("", " standard error", " best")]
        lines.writerow(["setting", "estimator", "options", "runs", *told])
        for setting, own in self._settings.items():
            firsts = {each: best(own, each) for each in columns}
            for group in own:
                cells: list[object] = []
                for each in columns:
                    value = group.value(each)
                    cells += [value.mean, value.standard_error] if value else ["", ""]
                    cells.append(firsts[each] is group)
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
            columns, rows = self._cells(groups)
            sections.append(table_section(setting, columns, rows, self._note()))
            for metric, quantity in CURVES.items():
                if bands := self._bands(groups, metric):
                    title, logarithmic = quantity[:1].upper() + quantity[1:], metric.startswith("grad/")
                    sections.append(curves_section(title, bands, quantity=quantity, logarithmic=logarithmic))
            if points := _costs(groups):
                dots = {name: point[:2] for name, point in points.items()}
                sections.append(scatter_section("Variance against cost", dots, x="ms a step", y="variance"))
            if columns_of_runs := _parallel(groups):
                sections.append(parallel_section("Every run", columns_of_runs, coloured_by=list(columns_of_runs)[-1]))
        return page(self._title, sections)

    def _cells(self, groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
        columns = quantities(groups)
        firsts = {each: best(groups, each) for each in columns}
        rows = []
        for group in groups:
            cells = [_cell(group.value(each), marked=firsts[each] is group) for each in columns]
            rows.append([group.label, str(len(group.runs)), *cells])
        return ["estimator", "runs", *[each.title for each in columns]], rows

    def _bands(self, groups: Sequence[Group], metric: str) -> dict[str, Band]:
        found = {}
        for group in groups:
            own = [self._histories[metric][run.run_id] for run in group.runs if run.run_id in self._histories[metric]]
            try:
                found[group.label] = band(own)
            except ValueError:  # nothing in common, and so nothing to draw
                continue
        return found

    def _note(self) -> str:
        return f"mean ± standard error over runs; * surely the best of its column: {TEST}"


def _place(group: Group) -> float:
    # By the bound, the best first.
    value = next((each for q in quantities([group]) if q.better == "higher" and (each := group.value(q))), None)
    return math.inf if value is None else -value.mean


def _cell(value: Value | None, *, marked: bool) -> str:
    if value is None:
        return "-"
    mark = " *" if marked else ""
    if math.isnan(value.standard_error):
        return f"{value.mean:.4g}{mark}"
    if value.standard_error == 0.0:
        return f"{value.mean:.4g} ± 0{mark}"
    decimals = 1 - math.floor(math.log10(value.standard_error))
    if 0 <= decimals <= 4:
        return f"{value.mean:,.{decimals}f} ± {value.standard_error:.{decimals}f}{mark}"
    return f"{value.mean:.3g} ± {value.standard_error:.1g}{mark}"


def _costs(groups: Sequence[Group]) -> dict[str, tuple[float, float, float]]:
    # Milliseconds a step, variance and its standard error over runs.
    found = {}
    by_metric = {each.metric: each for each in quantities(groups)}
    if not {"time/ms_per_step", "grad/encoder/variance"} <= set(by_metric):
        return {}
    for group in groups:
        cost, variance = group.value(by_metric["time/ms_per_step"]), group.value(by_metric["grad/encoder/variance"])
        if cost and variance and variance.mean > 0:
            found[group.label] = (cost.mean, variance.mean, variance.standard_error)
    return found


def _parallel(groups: Sequence[Group]) -> dict[str, list[float | str]]:
    # What varies, and what came of it, a value a run.
    columns = quantities(groups)[:1]
    runs = [(group, run) for group in groups for run in group.runs if columns and columns[0].metric in run.metrics]
    names = list(dict.fromkeys(name for group in groups for name in group.differences))
    found: dict[str, list[float | str]] = {}
    if len({group.estimator for group, _ in runs}) > 1:
        found["estimator"] = [group.estimator for group, _ in runs]
    for name in names:
        found[name.rsplit(".", 1)[-1]] = _numbers([run.parameters.get(name, "-") for _, run in runs])
    if not found:
        return {}
    found["ms a step"] = [run.metrics.get("time/ms_per_step", math.nan) for _, run in runs]
    found[columns[0].title] = [run.metrics[columns[0].metric] for _, run in runs]
    return found


def _numbers(texts: Sequence[str]) -> list[float | str]:
    try:
        return [float(each) for each in texts]
    except ValueError:
        return list(texts)
