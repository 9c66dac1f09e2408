"""A sweep: a grid of values, each with several seeds; what is missing is trained."""

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, final

from reparam_suite.running.surroundings import library_call
from reparam_suite.runtime.errors import ArgumentValueError, UsageError
from reparam_suite.sweeps.grid import Cell, cells_of, combinations_of
from reparam_suite.sweeps.records import differences, newest, replaced, runs_of
from reparam_suite.sweeps.result import SweepResult
from reparam_suite.sweeps.training import CellTraining, Task
from reparam_suite.tracking import RecordedRun, Store, TrackingSettings
from reparam_suite.training import StopSignals
from reparam_suite.workers import (
    MakeRun,
    Outcome,
    check_arguments,
    check_main_guard,
    completed,
    done_here,
    made_run,
    obstacle,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_log = logging.getLogger(__name__)


@final
class Sweep:
    """Trains a run for every combination of a grid's values and every seed.

    Runs are found again by the sweep's name, the expressions of their values and their seed: a second `run` trains
    what is missing, and resumes what was interrupted. A run that fails ends no other.

    Args:
        make_run: makes a run; it is called with a value of each argument of the grid and `seed`, by name. Values are
            copied for every run.
        grid: the values of each argument.
        seeds: of the runs of every combination.
        name: of the sweep.
        workers: processes that train at once, with one CPU thread each; 1: this process trains.

    Raises:
        ValueError: if the grid or the seeds are empty or have something twice, or `workers` is below 1.
        TypeError: if `make_run` does not take the arguments.
    """

    def __init__(
        self,
        make_run: MakeRun,
        *,
        grid: Mapping[str, Iterable[Any]],
        seeds: Iterable[int],
        name: str,
        workers: int = 1,
    ) -> None:
        self._cells = cells_of(grid, seeds)
        self._arguments = tuple(grid)
        check_arguments(make_run, self._arguments)
        if workers < 1:
            raise ArgumentValueError(f"workers: expected at least 1, got {workers}")
        if not name or ("'" in name and '"' in name):
            raise ArgumentValueError(f"name: expected a name without both kinds of quotes, got {name!r}")
        self._make_run = make_run
        self._name = name
        self._workers = workers

    def plan(self) -> "DataFrame":
        """One row per run, in the order in which they are trained: its values and its seed."""
        from pandas import DataFrame

        return DataFrame([cell.row for cell in self._cells])

    def run(self) -> SweepResult:
        """Trains the runs that are missing.

        Raises:
            ValueError: if the sweep has finished runs of the same values with another model or other data, or the data
                were replaced while it was trained.
            RuntimeError: if the store does not answer, or no worker can be started.
            KeyboardInterrupt: after Ctrl-C; the next call resumes the runs that were interrupted.
        """
        check_main_guard()
        with library_call(progress=False) as surroundings:
            tracking, failures = self._checked()
            store = Store.begin(tracking, lambda line: _log.info("%s", line))
            known = runs_of(store, self._name)
            finished, interrupted = newest(known, "FINISHED"), newest(known, "KILLED")
            self._check_finished(finished, failures)
            missing = [cell for cell in self._cells if cell.key not in finished and cell.combination not in failures]
            tasks = [Task(cell, _run_id(interrupted.get(cell.key))) for cell in missing]
            reasons: dict[str, str] = {}
            trained = 0
            with closing(self._outcomes(tasks, surroundings.signals)) as outcomes:
                for outcome in outcomes:
                    cell = missing[outcome.index]
                    if outcome.error is None:
                        trained += 1
                        continue
                    reasons[cell.key] = outcome.error
                    _log.warning(
                        "sweep %s: %s, seed %d failed: %s", self._name, cell.combination, cell.seed, outcome.error
                    )
            reasons |= {cell.key: failures[cell.combination] for cell in self._cells if cell.combination in failures}
            runs = runs_of(store, self._name) if tasks else known
            self._check_data(newest(runs, "FINISHED"))
        return SweepResult(frame=self._frame(runs, reasons), trained=trained, _arguments=self._arguments)

    def _checked(self) -> tuple[TrackingSettings, dict[str, str]]:
        # Where the runs are recorded, and the combinations of which none can be made, with the reason.
        places: list[TrackingSettings] = []
        failures: dict[str, str] = {}
        for combination, cells in combinations_of(self._cells).items():
            try:
                places.append(made_run(self._make_run, cells[0].values, cells[0].seed).tracking)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - others may work
                failures[combination] = f"{type(error).__name__}: {error}"
                _log.warning("sweep %s: %s: no run can be made: %s", self._name, combination, failures[combination])
        if not places:
            raise UsageError(f"make_run: expected a run of some values, got {next(iter(failures.values()))}")
        if any(place != places[0] for place in places):
            raise UsageError("make_run: expected the same tracking for all runs of a sweep, got several")
        return places[0], failures

    def _check_finished(self, finished: Mapping[str, RecordedRun], failures: Mapping[str, str]) -> None:
        for combination, cells in combinations_of(self._cells).items():
            own = [finished[cell.key] for cell in cells if cell.key in finished]
            if not own or combination in failures:
                continue
            changed = differences(made_run(self._make_run, cells[0].values, cells[0].seed), own)
            if changed is not None:
                raise UsageError(
                    f"name: sweep {self._name} has finished runs of {combination} with another model or other data: "
                    f"{changed}. Give this sweep a name of its own, {self._name}-2 say"
                )

    def _check_data(self, finished: Mapping[str, RecordedRun]) -> None:
        own = {cell.key for cell in self._cells}
        if (told := replaced([run for key, run in finished.items() if key in own])) is not None:
            raise UsageError(
                f"data: expected the same for all runs of sweep {self._name}, got others under the same name: {told}. "
                f"All runs are on record; give a sweep on the present data a name of its own, {self._name}-2 say"
            )

    def _outcomes(self, tasks: Sequence[Task], signals: StopSignals) -> Generator[Outcome, None, None]:
        training = CellTraining(self._make_run, self._name)
        if min(self._workers, len(tasks)) > 1:
            if (why := obstacle(training, tasks)) is None:
                yield from completed(training, tasks, num_workers=self._workers)
                return
            _log.warning(
                "sweep %s: runs train in this process, one after the other: what makes them cannot be sent to "
                "another: %s",
                self._name,
                why,
            )
        for index, task in enumerate(tasks):
            yield done_here(training, index, task, signals)

    def _frame(self, runs: Sequence[RecordedRun], reasons: Mapping[str, str]) -> "DataFrame":
        from pandas import DataFrame

        finished, last = newest(runs, "FINISHED"), {run.tags["sweep.cell"]: run for run in reversed(runs)}
        rows = [_row(cell, finished.get(cell.key) or last.get(cell.key), reasons.get(cell.key)) for cell in self._cells]
        first = [*self._arguments, "seed", "run_id", "status", "reason"]
        metrics = sorted({name for row in rows for name in row} - set(first))
        return DataFrame(rows, columns=[*first, *metrics])


def _row(cell: Cell, run: RecordedRun | None, reason: str | None) -> dict[str, Any]:
    if run is None:
        return {**cell.row, "run_id": None, "status": "FAILED", "reason": reason}
    metrics = run.metrics if run.status == "FINISHED" else {}
    status = run.status if reason is None else "FAILED"
    return {**cell.row, "run_id": run.run_id, "status": status, "reason": reason, **metrics}


def _run_id(run: RecordedRun | None) -> str | None:
    return None if run is None else run.run_id
