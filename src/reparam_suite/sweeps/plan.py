"""The plan of a sweep: which of its runs are on record, and which are to be trained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from reparam_suite.sweeps.grid import Cell
from reparam_suite.tracking import RecordedRun, Store, TrackingSettings


@final
@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, or of a part of it, before they are trained.

    Attributes:
        name: of the sweep.
        tracking: where its runs are recorded.
        cells: of all runs, in the order in which they are trained.
        misfits: the reason why no run can be made, by combination.
        steps: of the optimizer, by combination; None where that cannot be said before.
        done: keys of the cells whose run is finished.
        elsewhere: keys of the cells that another process trains now.
        interrupted: keys of the cells whose run was stopped before its end.
    """

    name: str
    tracking: TrackingSettings
    cells: Sequence[Cell]
    misfits: Mapping[str, str]
    steps: Mapping[str, int | None]
    done: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    interrupted: frozenset[str] = frozenset()

    @property
    def missing(self) -> list[Cell]:
        """The cells to train."""
        left_out = self.done | self.elsewhere
        return [cell for cell in self.cells if cell.key not in left_out and cell.combination not in self.misfits]

    def num_steps(self, cells: Iterable[Cell]) -> int | None:
        """Steps of these runs together; None where that cannot be said."""
        steps = [self.steps[cell.combination] for cell in cells]
        known = [each for each in steps if each is not None]
        return sum(known) if len(known) == len(steps) else None


class Watcher:
    """Watches a sweep; this one does nothing."""

    def planned(self, plan: Plan) -> None:
        """Sees the plan, before anything is made."""

    def recorded(self, store: Store, run: RecordedRun) -> None:
        """Sees a finished run: one on record, else the first that ends."""

    def ended(self, cell: Cell, error: str | None) -> None:
        """Sees the end of a run, with the reason where it failed."""
