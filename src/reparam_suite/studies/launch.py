"""The study command from its parsed options to its last trial."""

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import final
from uuid import uuid4

from optuna.trial import TrialState
from rich.console import Console
from rich.live import Live
from rich.text import Text

from reparam_suite.runtime.errors import StateError, UsageError
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.runtime.terminal import as_text
from reparam_suite.studies.command import StudyCommand
from reparam_suite.studies.command import command as parsed
from reparam_suite.studies.display import Display, best_trials
from reparam_suite.studies.queue import ERROR, Queue
from reparam_suite.studies.rehearsal import check_trials
from reparam_suite.studies.search import Search
from reparam_suite.studies.storage import AWAY, when_it_answers
from reparam_suite.studies.summary import Summary
from reparam_suite.studies.trial_table import TrialLines
from reparam_suite.studies.workers import StudyWork, joined, work
from reparam_suite.tracking import Store, redact
from reparam_suite.training import Stopped, StopSignals
from reparam_suite.workers import LocalProcesses, WorkerPool
from reparam_suite.workers.engines import WITHOUT_RAY


@final
class StudyStopped(Exception):  # noqa: N818 - it says what happened
    """A signal has ended this command's part in a study; the message says how the study is resumed.

    Attributes:
        exit_code: of the command.
    """

    def __init__(self, stopped: Stopped, told: str) -> None:
        super().__init__(f"{stopped.what}; {told}")
        self.exit_code = stopped.exit_code


@final
class StudyFailed(StateError):  # noqa: N818 - it says what happened
    """No trial has a value, or none satisfies the constraints."""


def search(args: Sequence[str], console: Console, signals: StopSignals) -> None:
    """Runs a study, or what is left of it.

    Raises:
        UsageError: if something cannot be used. Nothing was created then.
        TrackingError: if runs cannot be recorded.
        StudyStopped: if a signal ended it.
        StudyFailed: if no trial has a value that satisfies the constraints.
        WorkersLost: if no worker is left before the study is finished.
    """
    with unchanged_globals():
        command = parsed(args)
        searched = command.search
        check_trials(searched, command.database, objective="objectives")
        signals.wait()
        with _pool(command, searched) as pool:
            signals.wait_no_longer()
            Store.open(command.tracking)
            # The schema is made before any worker starts: two processes that make one at once break each other.
            queue = joined(searched, command.database)
            try:
                _Launch(command, searched, queue, console, signals).run(pool, args)
            finally:
                queue.close()


@contextmanager
def _pool(command: StudyCommand, searched: Search) -> Iterator[WorkerPool | None]:
    # None: this process is the only worker.
    distributed = StudyWork(searched, command.database, uuid4().hex)
    if command.engine == "local":
        yield None if command.workers == 1 else LocalProcesses(distributed, command.workers)
        return
    try:
        from reparam_suite.workers.on_ray import RayTasks
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError(WITHOUT_RAY) from error
    databases = {"storage": command.database.url, "tracking.uri": command.tracking.resolved_uri()}
    cpus, gpus = command.cpus_per_worker, command.gpus_per_worker
    with RayTasks(distributed, command.workers, cpus=cpus, gpus=gpus, databases=databases) as pool:
        yield pool


@final
class _Launch:
    # One command's part in a study.
    def __init__(
        self, command: StudyCommand, searched: Search, queue: Queue, console: Console, signals: StopSignals
    ) -> None:
        self._command = command
        self._search = searched
        self._queue = queue
        self._console = console
        self._signals = signals

    def run(self, pool: WorkerPool | None, args: Sequence[str]) -> None:
        """Runs trials until there are enough, keeps the summary, and reports."""
        console, command = self._console, self._command
        store = Store.begin(command.tracking, partial(console.print, soft_wrap=True, markup=False))
        self._queue.fill()
        if pool is not None and not self._queue.finished():
            pool.prepare()
        summary = Summary(command.settings, store, self._queue, self._signals)
        summary.open()
        display = Display(self._queue, tuple(command.settings.objectives), time.time())
        title = Text.assemble(as_text(command.settings.name, "bold"), "  ", as_text(self._planned()))
        console.print(title, soft_wrap=True)
        self._lines = TrialLines(self._queue, display.metrics, console)
        try:
            with Live(get_renderable=display, console=console, refresh_per_second=1, transient=True):
                self._work(pool, summary)
            summary.update()
            failure = self._failure()
            if failure is None:
                summary.finish_best()
            self._signals.wait()  # from here on a signal finds a study that is finished
        except Stopped as error:
            self._signals.wait()
            summary.update()
            summary.close("KILLED")
            raise StudyStopped(error, self._how_to_resume(args)) from error
        except BaseException:
            summary.close("FAILED")
            raise
        summary.close("FINISHED" if failure is None else "FAILED")
        list(store.recover())  # the runs of workers that died
        if failure is not None:
            raise StudyFailed(failure)
        self._report(display, summary, store)

    def _work(self, pool: WorkerPool | None, summary: Summary) -> None:
        if pool is None:
            watch = partial(self._watch, summary)
            work(self._search, self._queue, self._signals, call=uuid4().hex, after_trial=watch)
            return
        pool.run(
            finished=lambda: when_it_answers(self._queue.finished),
            signals=self._signals,
            watch=partial(self._watch, summary),
            tell=partial(self._console.print, markup=False),
        )

    def _watch(self, summary: Summary) -> None:
        with suppress(*AWAY):
            self._lines.print_new()
        summary.update_if_due()

    def _planned(self) -> str:
        settings, command = self._command.settings, self._command
        objectives = ", ".join(f"{direction} {metric}" for metric, direction in settings.objectives.items())
        workers = f"{command.workers} workers" if command.workers > 1 else "one worker"
        return f"{settings.trials} trials that {objectives}, {workers}, stored in {redact(command.database.url)}"

    def _how_to_resume(self, args: Sequence[str]) -> str:
        again = redact(shlex.join(["python", "-m", "reparam_suite.study", *args]))
        try:
            places = self._queue.places()
        except AWAY:
            return f"the database of the study does not answer. When it does, to resume the study: {again}"
        done = sum(place.state.is_finished() for place in places)
        return f"{done} of {len(places)} trials are finished, and what was interrupted waits. To resume: {again}"

    def _failure(self) -> str | None:
        # The reason why there is no best trial.
        if best_trials(self._queue):
            return None
        places = self._queue.places()
        if infeasible := sum(place.state is TrialState.COMPLETE for place in places):
            return f"{infeasible} trials are complete, and none satisfies the constraints"
        counts = {
            state: sum(place.state is state for place in places) for state in (TrialState.FAIL, TrialState.PRUNED)
        }
        told = [f"{count} {word}" for count, word in zip(counts.values(), ("failed", "pruned"), strict=True) if count]
        reasons = {place.trial.user_attrs.get(ERROR, "") for place in places}
        return f"no trial is complete, {', '.join(told)}: {'; '.join(sorted(filter(None, reasons)))}"

    def _report(self, display: Display, summary: Summary, store: Store) -> None:
        console = self._console
        console.print(display.table())
        console.print(display.counted(), markup=False)
        for trial in best_trials(self._queue):
            console.print(display.told(trial), soft_wrap=True, markup=False)
        for label, told in summary.places().items():
            console.print(f"{label:<11}{told}", soft_wrap=True, markup=False)
        console.print(f"MLflow UI  {store.ui_command}", soft_wrap=True)
