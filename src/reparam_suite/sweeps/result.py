"""The result of a sweep: its runs as a table, and tables of papers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps.frames import frame_of, recorded_cells
from reparam_suite.sweeps.points import is_point, points_of
from reparam_suite.sweeps.records import opened, runs_of
from reparam_suite.sweeps.selection import Spread, summarised
from reparam_suite.sweeps.table import Table
from reparam_suite.tracking import Store, TrackingSettings

if TYPE_CHECKING:
    from pandas import DataFrame


@final
@dataclass(frozen=True, eq=False)
class SweepResult:
    """The runs of a sweep.

    Attributes:
        frame: one row per run: the arguments, seed, run_id, status, the reason of one that failed, and every metric.
        trained: how many runs this call has trained.
    """

    frame: "DataFrame"
    trained: int
    _arguments: tuple[str, ...]
    _store: Store | None = None

    @classmethod
    def load(cls, name: str, *, tracking: TrackingSettings = TrackingSettings()) -> "SweepResult":
        """All runs on record of a sweep.

        Args:
            name: of the sweep.
            tracking: where they are recorded.

        Raises:
            ValueError: if there are none.
            RuntimeError: if the store does not answer.
        """
        store = opened(tracking)
        runs = [] if store is None else runs_of(store, name)
        if not (cells := recorded_cells(runs)):
            where = f"experiment {tracking.experiment} of {tracking.shown_uri}"
            raise UsageError(f"name: expected a sweep on record in {where}, got {name}")
        arguments = tuple(dict.fromkeys(argument for cell in cells for argument in cell.values))
        return cls(frame_of(cells, arguments, runs), 0, arguments, store)

    @property
    def ui_command(self) -> str | None:
        """The command that opens the MLflow UI on the runs; None where there are none."""
        return None if self._store is None else self._store.ui_command

    def table(
        self,
        *,
        rows: str | Sequence[str],
        columns: str | Sequence[str],
        select: str | None = None,
        over: str | Sequence[str] | None = None,
        spread: Spread = "std",
        titles: Mapping[str, str] | None = None,
    ) -> Table:
        """Means of metrics over seeds, with their spread.

        Args:
            rows: arguments of the grid, a row for each of their combinations.
            columns: metrics, the last value of each or that of a step, train/elbo@6000. The best of each is set in
                bold: the largest, or the smallest of variances, losses, times and memory; a sign says it, "-val/kl" for
                the smallest.
            select: the metric by whose mean over seeds the values of `over` are chosen, for each row.
            over: arguments of the grid that are chosen.
            spread: standard deviation over runs, or standard error of the mean.
            titles: name of a row's argument or of a column -> its heading.

        Raises:
            ValueError: if a name is none of the sweep, or an argument with several values is neither in `rows` nor
                chosen.
        """
        given: dict[str, Any] = {
            "rows": _several(rows),
            "columns": _several(columns),
            "over": _several(over or ()),
        }
        points = [name.removeprefix("-") for name in (*given["columns"], *([select] if select else []))]
        frame = self._with_points([name for name in points if is_point(name)])
        table = summarised(frame, arguments=self._arguments, select=select, spread=spread, **given)
        return replace(table, titles=dict(titles or {}))

    def _with_points(self, names: Sequence[str]) -> "DataFrame":
        # Values at a step are read when they are asked for.
        missing = [name for name in names if name not in self.frame.columns]
        if self._store is None or not missing:
            return self.frame
        ids = [run_id for run_id in self.frame["run_id"] if isinstance(run_id, str)]
        found = points_of(self._store, ids, missing)
        values = [found.get(run_id, {}) for run_id in self.frame["run_id"]]
        known = [name for name in missing if any(name in each for each in values)]
        return self.frame.assign(**{name: [each.get(name, math.nan) for each in values] for name in known})


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
