"""The summary run of a study in MLflow: figures, the table of trials, and the best trial as a run of its own."""

import tempfile
import time
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, final

from optuna.trial import FrozenTrial

from reparam_suite.running.resumption import checkpoint_directory
from reparam_suite.running.run import evaluate_best, finish
from reparam_suite.studies import figures
from reparam_suite.studies.display import best_trials
from reparam_suite.studies.queue import RUNS, Queue
from reparam_suite.studies.space import Options
from reparam_suite.studies.storage import AWAY, patiently
from reparam_suite.studies.trials import TrialRunner
from reparam_suite.tracking import RunLogger, TrackingError
from reparam_suite.training import LAST, Checkpoints, Journal, read_checkpoint

# An update costs some seconds of drawing: it is due when the study has taken this many times as long since the last.
_SHARE = 20


@final
class Summary:
    """Keeps the summary run of a study up to date. Where another launcher keeps it already, that one goes on doing so.

    Args:
        runner: of trials; it knows their configurations.
        queue: of the trials.
    """

    def __init__(self, *, runner: TrialRunner, queue: Queue) -> None:
        self._runner = runner
        self._settings = runner.settings
        self._queue = queue
        self._store = runner.store
        self._metrics = tuple(runner.settings.objectives)
        self._logger: RunLogger | None = None
        self._told: tuple[int, ...] = ()
        self._due = 0.0

    @property
    def run_id(self) -> str | None:
        """MLflow's, if this process keeps it."""
        return self._logger.run_id if self._logger else None

    def open(self) -> None:
        """Makes the run, or goes on with it."""
        existing = [run for run in self._store.runs_named(self._name) if run.data.tags.get("study.run") == "summary"]
        if not existing:
            tags = {"study": self._settings.name, "study.run": "summary"}
            definition = self._settings.definition()
            self._logger = self._store.start_run(name=self._name, parameters=definition, tags=tags)
            return
        try:
            self._store.check_stopped(existing[0].info.run_id)
            self._logger = self._store.resume_run(existing[0].info.run_id)
        except TrackingError as error:
            warnings.warn(f"the summary of the study is kept by another command: {error}", stacklevel=2)

    def update_if_due(self) -> None:
        """Updates, if trials have finished since and the last update is long enough ago."""
        if time.monotonic() >= self._due and patiently(self._finished) != self._told:
            self.update()

    def update(self) -> None:
        """Draws and writes everything anew. It waits for a database that is away, unless a signal ends the command."""
        if self._logger is None:
            return
        if self._runner.signals.received is None:
            patiently(partial(self._update, self._logger))
        else:
            with suppress(*AWAY):
                self._update(self._logger)

    def _update(self, logger: RunLogger) -> None:
        began = time.monotonic()
        self._told = self._finished()
        study = self._queue.study
        for name, figure in figures.drawn(study, self._metrics):
            logger.log_figure(figure, f"study/{name}")
        logger.log_text(figures.table(study, self._metrics), "trials.csv")
        if best := best_trials(self._queue):
            self._log_best(logger, best)
            with tempfile.TemporaryDirectory() as directory:
                page = Path(directory) / "study.html"
                figures.write_page(study, self._metrics, page)
                logger.log_artifact(page)
        logger.flush(10.0)
        self._due = time.monotonic() + _SHARE * (time.monotonic() - began)

    def close(self, status: Literal["FINISHED", "KILLED", "FAILED"]) -> None:
        """Ends the run."""
        if self._logger is not None:
            self._logger.close(status)

    def finish_best(self) -> None:
        """Tests, draws and exports the best trial, into this run; what the trials themselves left out."""
        best = patiently(partial(best_trials, self._queue))
        if self._logger is None or not best:
            return
        trial, seed = best[0], self._settings.seeds[0]
        directory = checkpoint_directory(self._store.root, trial.user_attrs[RUNS][0])
        if not (directory / LAST).exists():
            warnings.warn(f"the checkpoints of trial {trial.number} are not on this machine: {directory}", stacklevel=2)
            return
        alone: Options = {"trainer.devices": 1, "trainer.num_nodes": 1, "trainer.strategy": "auto"}
        command = self._runner.command(self._runner.chosen(trial) | alone, seed)
        content: dict[str, Any] = read_checkpoint(directory / LAST)
        journal = Journal()
        journal.load_state_dict(content["callbacks"]["StepRecord"]["journal"])
        journal.logger = self._logger
        checkpoints = Checkpoints()
        checkpoints.directory = directory
        evaluate_best(command, journal, checkpoints, content["global_step"])
        finish(command, self._logger, journal, checkpoints, content["global_step"])

    @property
    def _name(self) -> str:
        return f"{self._settings.name}-summary"

    def _finished(self) -> tuple[int, ...]:
        return tuple(place.trial.number for place in self._queue.places() if place.state.is_finished())

    def _log_best(self, logger: RunLogger, best: list[FrozenTrial]) -> None:
        for index, trial in enumerate(best):
            name = "best.yaml" if index == 0 else f"best-{index + 1}.yaml"
            logger.log_text(self._runner.configuration(trial), name)
        for metric, value in zip(self._metrics, best[0].values, strict=True):
            logger.log_metrics({f"best/{metric}": value}, step=len(self._told))
        logger.set_tags({"best.trial": str(best[0].number), "best.run": " ".join(best[0].user_attrs[RUNS])})
