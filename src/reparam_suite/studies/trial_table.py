"""Trials of a study on the terminal: a table, and a line for each trial that ends where there is none."""

from collections.abc import Iterator, Sequence
from typing import final

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reparam_suite.studies.queue import ERROR, Place, Queue

_LONGEST_NOTE = 200


def trial_table(places: Sequence[Place], metrics: Sequence[str], most: int) -> Table:
    """The newest trials that have begun, one a row: number, state, values, parameters, the reason of what went wrong.

    Args:
        places: of the study.
        metrics: the objectives.
        most: rows.
    """
    begun = [place for place in places if place.state is not TrialState.WAITING]
    table = Table(title_justify="left", expand=False)
    if len(begun) > most:
        table.title = f"the last {most} of {len(begun)} trials"
    table.add_column("trial", justify="right")
    table.add_column("state")
    for metric in metrics:
        table.add_column(escape(metric), justify="right")
    table.add_column("parameters", overflow="fold")
    for place in begun[-most:]:
        values = place.trial.values or [None] * len(metrics)
        told = ", ".join(filter(None, [parameters(place.trial), note(place)]))
        cells = ["-" if value is None else f"{value:.4g}" for value in values]
        table.add_row(str(place.number), state(place), *cells, escape(told))
    return table


def state(place: Place) -> str:
    """The state of a trial in a word."""
    if place.state is TrialState.COMPLETE:
        return "complete" if place.feasible else "infeasible"
    words = {TrialState.FAIL: "failed", TrialState.PRUNED: "pruned", TrialState.RUNNING: "running"}
    return words.get(place.state, "waiting")


def parameters(trial: FrozenTrial) -> str:
    """The searched values of a trial: the last part of each option's name, and the value."""
    return ", ".join(
        f"{name.rpartition('.')[2]} {value:.3g}" if isinstance(value, float) else f"{name.rpartition('.')[2]} {value}"
        for name, value in trial.params.items()
    )


def note(place: Place) -> str:
    """The reason why a trial has no value; empty where it has one, or may still get one."""
    trial = place.trial
    if place.state is TrialState.FAIL:
        return str(trial.user_attrs.get(ERROR, ""))[:_LONGEST_NOTE]
    if place.state is TrialState.PRUNED and trial.last_step is not None:
        return f"at step {trial.last_step}, where it was {trial.intermediate_values[trial.last_step]:.4g}"
    return ""


@final
class TrialLines:
    """Prints a line for each trial that ends, once; nothing on a terminal, which has a table.

    Args:
        queue: of the trials.
        metrics: the objectives.
        console: to print on.
    """

    def __init__(self, queue: Queue, metrics: Sequence[str], console: Console) -> None:
        self._queue = queue
        self._metrics = metrics
        self._console = console
        self._told = {place.number for place in queue.places() if place.state.is_finished()}

    def print_new(self) -> None:
        """Prints the trials that have ended since the last call."""
        if not self._console.is_terminal:
            for line in self._new():
                self._console.print(line, soft_wrap=True, markup=False)

    def _new(self) -> Iterator[str]:
        places = self._queue.places()
        for place in places:
            if place.state.is_finished() and place.number not in self._told:
                self._told.add(place.number)
                values = zip(self._metrics, place.trial.values or [], strict=False)
                parts = [f"{metric} {value:.6g}" for metric, value in values]
                told = ", ".join(filter(None, [*parts, parameters(place.trial), note(place)]))
                yield f"trial {place.number} of {len(places)}  {state(place)}: {told}"
