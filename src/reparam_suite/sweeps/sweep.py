"""A sweep: a grid of values, each with several seeds; what is missing is trained."""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from reparam_suite.running.surroundings import library_call
from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError, UsageError
from reparam_suite.sweeps.checks import check_data, check_definition, check_finished, prospects_of
from reparam_suite.sweeps.frames import frame_of
from reparam_suite.sweeps.grid import Cell, Grid
from reparam_suite.sweeps.ledger import Ledger
from reparam_suite.sweeps.plan import Plan, Watcher
from reparam_suite.sweeps.points import values_of
from reparam_suite.sweeps.records import CELL, newest, opened, runs_of
from reparam_suite.sweeps.result import SweepResult
from reparam_suite.sweeps.shard import Shard
from reparam_suite.sweeps.summaries import summarise
from reparam_suite.sweeps.training import CellTraining, Task
from reparam_suite.tracking import RecordedRun, Store, flattened
from reparam_suite.training import StopSignals
from reparam_suite.workers import Engine, LocalEngine, MakeRun, Outcome, check_arguments, check_main_guard

if TYPE_CHECKING:
    from pandas import DataFrame

_log = logging.getLogger(__name__)

_LONGEST = 6_000


@final
class Sweep:
    """Trains a run for every combination of a grid's values and every seed.

    Runs are found again by the sweep's name, the expressions of their values and their seed: a second `run` trains
    what is missing, and resumes what was interrupted. A run that fails ends no other.

    Args:
        make_run: makes a run; it is called with the values of a combination and `seed`, by name. Values are copied for
            every run.
        grid: the values of each argument, or a `Grid`.
        seeds: of the runs of every combination.
        name: of the sweep.
        workers: processes that train at once, with one CPU thread each; 1: this process trains; or an `Engine`.
        skip_misfits: whether combinations of which no run can be made are left out; else they are refused.
        shard: the part of the runs that is trained here, "3/8" or a `Shard`; None for all of them.
        results: a file of results, whose runs count as finished and which gets those that finish.
        definition: of what `make_run` makes, in plain types: runs of the same name with another one are refused.

    Raises:
        ValueError: if the grid or the seeds are empty or have something twice, there is no such shard, or `workers` is
            below 1.
        TypeError: if `make_run` does not take the arguments, or a number is no integer.
    """

    def __init__(
        self,
        make_run: MakeRun,
        *,
        grid: Mapping[str, Iterable[Any]] | Grid,
        seeds: Iterable[int],
        name: str,
        workers: int | Engine = 1,
        skip_misfits: bool = False,
        shard: Shard | str | None = None,
        results: Ledger | None = None,
        definition: Mapping[str, Any] | None = None,
    ) -> None:
        grid = grid if isinstance(grid, Grid) else Grid(product=grid)
        cells = grid.with_seeds(seeds)
        for names in dict.fromkeys(tuple(cell.values) for cell in cells):
            check_arguments(make_run, names)
        self._shard = shard if shard is None or isinstance(shard, Shard) else Shard.of(shard)
        self._whole, self._cells = cells, cells if self._shard is None else self._shard.share(cells)
        self._arguments = grid.arguments
        self._engine = workers if isinstance(workers, Engine) else LocalEngine(workers)
        if not isinstance(name, str) or not name or ("'" in name and '"' in name):
            raise ArgumentValueError(f"name: expected a name without both kinds of quotes, got {name!r}")
        self._make_run = make_run
        self._name = name
        self._skip_misfits = skip_misfits
        if results is not None:
            if not isinstance(results, Ledger):
                raise ArgumentTypeError(f"results: expected a Ledger, got {results!r:.200}")
            results.check_metrics(grid.arguments)
        self._ledger = results
        self._definition = None if definition is None else _told(definition)

    def plan(self) -> "DataFrame":
        """One row per run, in the order in which they are trained: its values and its seed."""
        from pandas import DataFrame

        return DataFrame([cell.row for cell in self._cells], columns=[*self._arguments, "seed"])

    def run(self) -> SweepResult:
        """Trains the runs that are missing.

        Raises:
            ValueError: if no run can be made of some combinations, or the sweep has finished runs of the same values
                with another model or other data: nothing was made then; or the data were replaced while it was trained,
                or the file of results cannot be written.
            RuntimeError: if the store does not answer, or no worker can be started.
            KeyboardInterrupt: after Ctrl-C; the next call resumes the runs that were interrupted.
        """
        check_main_guard()
        with library_call(progress=False) as surroundings:
            return self.run_within(surroundings.signals, _Logged(self._name))

    def run_within(self, signals: StopSignals, watcher: Watcher) -> SweepResult:
        """The same, seen by `watcher`; a signal ends it between two steps of the runs in progress.

        Raises:
            Stopped: if a signal ended it.
        """
        plan, reasons, trained = self.checked(watcher), {}, 0
        if plan.missing:
            self._engine.prepare(len(plan.missing))
            store = Store.begin(plan.tracking, lambda line: _log.info("%s", line))
            known = runs_of(store, self._name)  # those whose process is gone are interrupted now
            plan, interrupted = self._with_records(plan, known), newest(known, "KILLED")
            finished = list(newest(known, "FINISHED").values())
            if finished:
                watcher.recorded(store, finished[0])
            tasks = [Task(cell, _run_id(interrupted.get(cell.key))) for cell in plan.missing]
            for cell, outcome in self._outcomes(tasks, signals):
                if outcome.error is None:
                    trained += 1
                    if self._ledger is not None or not finished:
                        runs = store.runs(f"attributes.run_id = '{outcome.value}'")
                        try:
                            self._keep(store, runs)
                        except UsageError as error:  # the next run, and the end of the sweep, try it again
                            _log.warning("%s", error)
                        if runs and not finished:
                            watcher.recorded(store, runs[0])
                        finished = finished or runs
                else:
                    reasons[cell.key] = outcome.error
                watcher.ended(cell, outcome.error)
        recorded = opened(plan.tracking)
        if recorded is not None and self._ledger is not None:
            self._keep(recorded, list(newest(runs_of(recorded, self._name), "FINISHED").values()))
        result = self._result(plan, recorded, trained, reasons)
        if recorded is not None and self._shard is None:
            summarise(recorded, self._name, self._cells, result.frame)
        return result

    def checked(self, watcher: Watcher) -> Plan:
        """The plan, once everything that can be refused is refused; nothing is made.

        Raises:
            ValueError: see `run`.
        """
        prospects = prospects_of(self._make_run, self._cells, self._whole, skip_misfits=self._skip_misfits)
        store = opened(prospects.tracking)
        known = [] if store is None else runs_of(store, self._name)
        check_definition(self._name, self._definition, known)
        check_finished(self._name, self._cells, prospects.by_combination, newest(known, "FINISHED").values())
        plan = Plan(self._name, prospects.tracking, self._cells, prospects.misfits, prospects.steps)
        plan = self._with_records(plan, known)
        watcher.planned(plan)
        return plan

    def _outcomes(self, tasks: Sequence[Task], signals: StopSignals) -> Iterator[tuple[Cell, Outcome]]:
        training = CellTraining(self._make_run, self._name, self._definition)
        with closing(self._engine.completed(training, tasks, signals)) as outcomes:
            for outcome in outcomes:
                signals.wait()  # a result is written whole
                yield tasks[outcome.index].cell, outcome
                signals.wait_no_longer()

    def _with_records(self, plan: Plan, known: Sequence[RecordedRun]) -> Plan:
        done = {*newest(known, "FINISHED"), *self._kept()}
        elsewhere = frozenset(newest(known, "RUNNING")) - done
        interrupted = frozenset(newest(known, "KILLED")) - done - elsewhere
        return replace(plan, done=frozenset(done), elsewhere=elsewhere, interrupted=interrupted)

    def _kept(self) -> dict[str, dict[str, float]]:
        # Whole results in the file, by the cell's key.
        return {} if self._ledger is None else self._ledger.complete(self._cells)

    def _keep(self, store: Store, finished: Sequence[RecordedRun]) -> None:
        if self._ledger is None:
            return
        kept = self._kept()
        cells = {cell.key: cell for cell in self._cells if cell.key not in kept}
        runs = [run for run in finished if run.tags.get(CELL) in cells]
        if not runs:
            return
        values = values_of(store, runs, self._ledger.metrics)
        self._ledger.add([(cells[run.tags[CELL]], values[run.run_id]) for run in runs])

    def _result(self, plan: Plan, store: Store | None, trained: int, reasons: Mapping[str, str]) -> SweepResult:
        runs = [] if store is None else runs_of(store, self._name)
        check_data(self._name, self._cells, newest(runs, "FINISHED"))
        misfits = {cell.key: plan.misfits[cell.combination] for cell in self._cells if cell.combination in plan.misfits}
        frame = frame_of(self._cells, self._arguments, runs, kept=self._kept(), reasons=reasons, misfits=misfits)
        return SweepResult(frame=frame, trained=trained, _arguments=self._arguments, _store=store)


@final
@dataclass(frozen=True)
class _Logged(Watcher):
    name: str

    def ended(self, cell: Cell, error: str | None) -> None:
        if error is not None:
            _log.warning("sweep %s: %s, seed %d failed: %s", self.name, cell.combination, cell.seed, error)


def _told(definition: Mapping[str, Any]) -> str:
    # A tag holds so much and no more.
    text = json.dumps(flattened(definition), default=str)
    return text if len(text) <= _LONGEST else json.dumps({"digest": hashlib.sha256(text.encode()).hexdigest()})


def _run_id(run: RecordedRun | None) -> str | None:
    return None if run is None else run.run_id
