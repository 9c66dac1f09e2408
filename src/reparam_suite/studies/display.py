"""The progress of a study on the terminal: one display for all workers."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import final

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reparam_suite.studies.queue import Place, Queue
from reparam_suite.studies.storage import AWAY
from reparam_suite.studies.trial_table import trial_table

_ROWS, _ROWS_AT_THE_END = 8, 20
"""Trials in the table while a study runs, and at its end."""


def best_trials(queue: Queue) -> list[FrozenTrial]:
    """The best trial, or all that no other beats in every objective; empty as long as none is feasible."""
    feasible = [place.trial for place in queue.places() if place.feasible]
    if not feasible:
        return []
    if len(queue.study.directions) > 1:
        return queue.study.best_trials
    sign = 1 if queue.study.direction is StudyDirection.MAXIMIZE else -1
    return [max(feasible, key=lambda trial: sign * trial.values[0])]


@final
@dataclass(frozen=True)
class Display:
    """The display of a study, whichever process works on it.

    Args:
        queue: of the trials.
        metrics: the objectives.
        started: when this command began, by time.time().
    """

    queue: Queue
    metrics: tuple[str, ...]
    started: float

    def __call__(self) -> RenderableType:
        """The display as of now."""
        try:
            places = self.queue.places()
            best = best_trials(self.queue)
        except AWAY:
            return Text("the database of the study does not answer; workers wait for it")
        done = sum(place.state.is_finished() for place in places)
        line = Table.grid(padding=(0, 2))
        line.add_row(
            ProgressBar(total=len(places), completed=done, width=30),
            f"{done} of {len(places)} trials",
            _counts(places),
            self._left(places),
        )
        return Group(trial_table(places, self.metrics, _ROWS), line, *[Text(self.told(trial)) for trial in best[:3]])

    def table(self) -> RenderableType:
        """The table of the trials as of now."""
        return trial_table(self.queue.places(), self.metrics, _ROWS_AT_THE_END)

    def counted(self) -> str:
        """How many trials there are, and how they ended."""
        places = self.queue.places()
        counts = _counts(places)
        return f"{len(places)} trials{f', {counts}' if counts else ''}"

    def told(self, trial: FrozenTrial) -> str:
        """A trial with its values and parameters, in a line."""
        values = [f"{metric} {value:.6g}" for metric, value in zip(self.metrics, trial.values, strict=True)]
        parameters = [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in trial.params.items()
        ]
        return f"best  trial {trial.number}: {', '.join(values)} with {', '.join(parameters)}"

    def _left(self, places: list[Place]) -> str:
        since = [
            place.trial
            for place in places
            if place.trial.datetime_complete and place.trial.datetime_complete.timestamp() > self.started
        ]
        remaining = sum(not place.state.is_finished() for place in places)
        if not since or not remaining:
            return ""
        seconds = (time.time() - self.started) / len(since) * remaining
        return f"about {int(seconds // 60)}:{int(seconds % 60):02d} left"


def _counts(places: list[Place]) -> str:
    counts = Counter(place.state for place in places)
    told = {TrialState.RUNNING: "running", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    parts = [(counts[state], name) for state, name in told.items()]
    infeasible = sum(place.state is TrialState.COMPLETE and not place.feasible for place in places)
    return ", ".join(f"{count} {name}" for count, name in [*parts, (infeasible, "infeasible")] if count)
