"""The result of a sweep: its runs as a table, and tables of papers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from reparam_suite.sweeps.selection import Spread, summarised
from reparam_suite.sweeps.table import Table

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

    def table(
        self,
        *,
        rows: str | Sequence[str],
        columns: str | Sequence[str],
        select: str | None = None,
        over: str | Sequence[str] | None = None,
        spread: Spread = "std",
    ) -> Table:
        """Means of metrics over seeds, with their spread.

        Args:
            rows: arguments of the grid, a row for each of their combinations.
            columns: metrics. The best of each is set in bold: the largest, or the smallest of variances, losses,
                times and memory; a sign says it, "-val/kl" for the smallest.
            select: the metric by whose mean over seeds the values of `over` are chosen, for each row.
            over: arguments of the grid that are chosen.
            spread: standard deviation over runs, or standard error of the mean.

        Raises:
            ValueError: if a name is none of the sweep, or an argument with several values is neither in `rows` nor
                chosen.
        """
        given: dict[str, Any] = {
            "rows": _several(rows),
            "columns": _several(columns),
            "over": _several(over or ()),
        }
        return summarised(self.frame, arguments=self._arguments, select=select, spread=spread, **given)


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
