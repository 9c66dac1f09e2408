"""The contents of a sweep file: the runs of a grid, and the table that is made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import yaml

from reparam_suite.commands.file_runs import Budget, RunsOfFile
from reparam_suite.commands.short_options import dotted
from reparam_suite.commands.written_options import choosable
from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.ledger import Ledger
from reparam_suite.sweeps.result import SweepResult
from reparam_suite.sweeps.selection import Spread, check_arguments_shown, check_names
from reparam_suite.sweeps.table import Table, check_form, check_titles
from reparam_suite.tracking import TrackingSettings

# Options that come from elsewhere, or that one run alone can have.
_NOT_OF_A_RUN = {
    "seed": "seeds",
    "seeds": "seeds",
    "tracking": "the options --tracking of the command",
    "resume": "the sweep itself, which resumes its runs",
    "run_key": "the sweep itself, which resumes its runs",
}


@dataclass(frozen=True)  # not @final: jsonargparse takes no instance of a final class as a default
class TableSettings:
    """A table of a sweep.

    Args:
        rows: options of the grid, a row for each of their combinations.
        columns: metrics, the last value of each or that of a step, train/elbo@6000; the best of each is marked, the
            largest, or the smallest of variances, losses, times and memory; "-val/kl" for the smallest.
        select: the metric by whose mean over seeds the values of `over` are chosen, for each row.
        over: options of the grid that are chosen.
        spread: standard deviation over runs, or standard error of the mean.
        titles: option or metric -> its heading in the table; LaTeX has one with a backslash or a dollar sign as it is.
        output: a file to write beside the print: .tex, .md or .csv.

    Raises:
        ValueError: if `output` ends otherwise, or there is a title for something else.
    """

    rows: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    select: str | None = None
    over: list[str] = field(default_factory=list)
    spread: Spread = "std"
    titles: dict[str, str] = field(default_factory=dict)
    output: Path | None = None

    def __post_init__(self) -> None:
        if self.output is not None:
            check_form(self.output)
        check_titles(self.titles, [*self.rows, *self.over, *(column.removeprefix("-") for column in self.columns)])

    @property
    def metrics(self) -> list[str]:
        """Those that it shows."""
        return [name.removeprefix("-") for name in self.columns]

    def check(self, grid: Grid, *, skip_misfits: bool) -> None:
        """Refuses a table that a sweep cannot have, before its runs are trained.

        Args:
            grid: of the sweep.
            skip_misfits: whether combinations may be left out: it is not known which then.

        Raises:
            ValueError: naming what is accepted.
        """
        check_names(
            grid.arguments, rows=self.rows, columns=self.columns, select=self.select, over=self.over, spread=self.spread
        )
        if not skip_misfits:
            from pandas import DataFrame

            rows = [cell.row for cell in grid.with_seeds([0])]
            check_arguments_shown(DataFrame(rows), grid.arguments, [*self.rows, *self.over])

    def of(self, result: SweepResult) -> Table:
        """The table.

        Raises:
            ValueError: if a name is none of the sweep.
        """
        return result.table(
            rows=self.rows,
            columns=self.columns,
            select=self.select,
            over=self.over,
            spread=self.spread,
            titles=self.titles,
        )


@final
@dataclass(frozen=True)
class SweepSettings:
    """The grid of a sweep, and the runs that it is made of.

    Args:
        name: of the sweep.
        base: configuration file of a run; a relative path counts from the sweep file.
        options: of all runs, dotted, over those of the file.
        grid: option -> values; every combination of them.
        zipped: option -> values, lists of one length that are gone through together.
        cells: option -> value, combinations given one by one.
        where: option -> value; the combinations that have these are trained alone.
        seeds: of every combination.
        budget: of a run.
        table: that is printed when all runs are there.
        results: a file that keeps results by cell and seed, whose runs are not trained again.

    Raises:
        ValueError: if the grid or the seeds are empty or have something twice.
    """

    name: str
    base: Path
    options: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, Any] = field(default_factory=dict)
    zipped: dict[str, Any] = field(default_factory=dict)
    cells: list[Any] = field(default_factory=list)
    where: dict[str, Any] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])
    budget: Budget = field(default_factory=Budget)
    table: TableSettings | None = None
    results: Ledger | None = None

    @property
    def combinations(self) -> Grid:
        """The grid, or the part of it that is wanted.

        Raises:
            ValueError: if it is empty, has something twice, or an option that a sweep gives itself.
        """
        grid = Grid(product=_as_values(self.grid), zipped=_as_values(self.zipped), cells=[*map(_as_value, self.cells)])
        for place, options in (("options", self.options), ("grid", grid.arguments)):
            for option in options:
                if source := _NOT_OF_A_RUN.get(str(option).partition(".")[0]):
                    raise UsageError(f"{place}: --{option} comes from {source}, expected other options")
        full: dict[str, str] = {}
        for option in (*self.options, *grid.arguments):
            if (other := full.setdefault(dotted(option), option)) != option:
                raise UsageError(f"grid: expected each option under one name, got {other} and {option}")
        self.budget.check(grid.arguments)
        return grid.where(_as_value(self.where)) if self.where else grid

    @property
    def metrics(self) -> dict[str, Sequence[str]]:
        """The metrics that runs are expected to record, by the option that names them."""
        found: dict[str, Sequence[str]] = {}
        if self.table is not None:
            found["table.columns"] = self.table.metrics
            if self.table.select is not None:
                found["table.select"] = [self.table.select.removeprefix("-")]
        if self.results is not None:
            found["results.metrics"] = self.results.metrics
        return found

    def runs(self, tracking: TrackingSettings) -> RunsOfFile:
        """The function that makes a run from the values of options."""
        common = {option: choosable(value) for option, value in self.options.items()}
        return RunsOfFile(self.base, common, self.budget, tracking)

    def definition(self) -> dict[str, Any]:
        """The settings that make runs of one combination comparable: the base run, common options and the budget."""
        try:
            base = yaml.safe_load(self.base.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"base: expected a YAML file, got {self.base}: {' '.join(str(error).split())}") from error
        return {"base": base, "options": self.options, "budget": self.budget.recorded}


def _as_values(several: Mapping[str, Any]) -> dict[str, Any]:
    return {
        option: [choosable(value) for value in values] if isinstance(values, list) else values
        for option, values in several.items()
    }


def _as_value(cell: Any) -> Any:
    # What is no mapping is refused with the rest of the grid.
    return {option: choosable(value) for option, value in cell.items()} if isinstance(cell, Mapping) else cell
