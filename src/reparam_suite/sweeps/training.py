"""The training of a cell, in this process or in a worker."""

import dataclasses
import logging
from dataclasses import dataclass
from typing import final

from rich.console import Console

from reparam_suite.running import Run, RunStopped, Surroundings
from reparam_suite.running.resuming import found_run
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.sweeps.grid import Cell
from reparam_suite.sweeps.records import CellObserver, tags_of
from reparam_suite.tracking import TrackingError
from reparam_suite.training import ProcessLost, Stopped, StopSignals
from reparam_suite.workers import MakeRun, made_run
from reparam_suite.workers.replica import relaunch_command

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Task:
    """A cell to train.

    Args:
        cell: of a sweep.
        interrupted: id of its run that was stopped and can be resumed; None if there is none.
    """

    cell: Cell
    interrupted: str | None = None


@final
@dataclass(frozen=True)
class CellTraining:
    """Trains cells of a sweep.

    Args:
        make_run: makes the run of a cell.
        sweep: name of the sweep.
        definition: of the sweep, which its runs carry.
    """

    make_run: MakeRun
    sweep: str
    definition: str | None = None

    def __call__(self, task: Task, signals: StopSignals) -> str:
        """Trains a cell and returns the id of its run.

        Raises:
            Stopped: if a signal ended it; the run can be resumed.
        """
        run = self._run(task)
        with relaunch_command(train_replica, self, task) as relaunch:
            surroundings = Surroundings(Console(quiet=True), signals, relaunch, observer=CellObserver())
            try:
                result = run.fit_within(surroundings)
            except RunStopped as error:
                raise Stopped(error.signum) from error
        assert result is not None
        return result.run_id

    def _run(self, task: Task) -> Run:
        made = made_run(self.make_run, task.cell.values, task.cell.seed)
        run = dataclasses.replace(made, tags={**made.tags, **tags_of(self.sweep, task.cell, self.definition)})
        if task.interrupted is None:
            return run
        try:
            resumption = found_run(task.interrupted, run.tracking, allow_changes=False)
        except (SuiteError, TrackingError, OSError) as error:
            _log.warning("sweep %s: run %s begins again: %s", self.sweep, task.interrupted, error)
            return run
        return dataclasses.replace(run, resumption=resumption) if resumption.checkpoint else run


def train_replica(training: CellTraining, task: Task) -> int:
    """Trains together with the first process of a run on several devices, and leaves all messages to it."""
    with StopSignals() as signals:
        try:
            run = training._run(task)
            run.fit_within(Surroundings(Console(quiet=True), signals, relaunch=(), observer=CellObserver()))
        except (Stopped, RunStopped, ProcessLost):
            return 1
    return 0
