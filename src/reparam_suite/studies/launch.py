"""A study from a parsed command line to its last trial."""

import shlex
import time
from collections.abc import Sequence
from functools import partial
from typing import final

from optuna.trial import TrialState
from rich.console import Console
from rich.live import Live

from reparam_suite.studies.command import command as parsed
from reparam_suite.studies.display import Display, best_trials
from reparam_suite.studies.engines import Engine, engine_of
from reparam_suite.studies.queue import ERROR, Queue
from reparam_suite.studies.storage import AWAY
from reparam_suite.studies.summary import Summary
from reparam_suite.studies.trials import TrialRunner
from reparam_suite.studies.workers import joined
from reparam_suite.tracking import Store, redact
from reparam_suite.training import Stopped, StopSignals


@final
class StudyStopped(Exception):  # noqa: N818 - it says what happened
    """A signal has ended this command's part in a study; the message says how the study goes on.

    Attributes:
        exit_code: of the command.
    """

    def __init__(self, stopped: Stopped, told: str) -> None:
        super().__init__(f"{stopped.what}; {told}")
        self.exit_code = stopped.exit_code


@final
class StudyFailed(Exception):  # noqa: N818 - it says what happened
    """No trial has a value, or none keeps to the constraints."""


def search(args: Sequence[str], console: Console, signals: StopSignals) -> None:
    """Runs a study, or what is left of it.

    Raises:
        UsageError: if something cannot be used. Nothing was created then.
        TrackingError: if runs cannot be recorded.
        StudyStopped: if a signal ended it.
        StudyFailed: if no trial has a value that keeps to the constraints.
        WorkersLost: if no worker is left before the study is finished.
    """
    command = parsed(args)
    signals.wait()
    with engine_of(command) as engine:
        signals.wait_no_longer()
        # Both schemas are made here, before any worker starts: two processes that make one at once break each other.
        queue = joined(command, 0)
        try:
            _search(engine, queue, args, console, signals)
        finally:
            queue.close()


def _search(engine: Engine, queue: Queue, args: Sequence[str], console: Console, signals: StopSignals) -> None:
    command = engine.command
    store = Store.begin(command.tracking, partial(console.print, soft_wrap=True, markup=False))
    queue.fill()
    summary = Summary(runner=TrialRunner(command.settings, store, signals), queue=queue)
    summary.open()
    display = Display(queue, tuple(command.settings.objectives), time.time())
    console.print(f"[bold]{command.settings.name}[/bold]  {redact(command.storage_url)}", soft_wrap=True)
    try:
        with Live(get_renderable=display, console=console, refresh_per_second=1, transient=True):
            engine.run(queue, signals, summary.update_if_due, partial(console.print, markup=False))
        summary.update()
        summary.finish_best()
    except Stopped as error:
        signals.wait()
        summary.update()
        summary.close("KILLED")
        raise StudyStopped(error, _how_to_go_on(queue, args)) from error
    except BaseException:
        summary.close("FAILED")
        raise
    summary.close("FINISHED")
    list(store.recover())  # the runs of workers that died
    _report(queue, display, summary, store, console)


def _how_to_go_on(queue: Queue, args: Sequence[str]) -> str:
    again = redact(shlex.join(["python", "-m", "reparam_suite.study", *args]))
    try:
        places = queue.places()
    except AWAY:
        return f"the database of the study is away. When it is back, to go on: {again}"
    done = sum(place.state.is_finished() for place in places)
    return f"{done} of {len(places)} trials are finished, and what was interrupted waits. To go on: {again}"


def _report(queue: Queue, display: Display, summary: Summary, store: Store, console: Console) -> None:
    best = best_trials(queue)
    if not best:
        if infeasible := sum(place.state is TrialState.COMPLETE for place in queue.places()):
            raise StudyFailed(f"{infeasible} trials are complete, and none keeps to the constraints")
        errors = {place.trial.user_attrs.get(ERROR, "") for place in queue.places()}
        failed = sum(place.state is TrialState.FAIL for place in queue.places())
        raise StudyFailed(f"no trial is complete, {failed} failed: {'; '.join(sorted(filter(None, errors)))}")
    console.print(display.counted(), markup=False)
    for trial in best:
        console.print(display.told(trial), soft_wrap=True, markup=False)
    if summary.run_id:
        console.print(f"run        {summary.run_id}", soft_wrap=True)
    console.print(f"to look    {store.ui_command}", soft_wrap=True)
