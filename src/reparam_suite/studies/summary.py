"""The summary run of a study in MLflow: figures, the table of trials, and the best trial as a run of its own."""

import shlex
import tempfile
import time
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, final

import yaml
from optuna.trial import FixedTrial, FrozenTrial
from rich.console import Console

from reparam_suite.commands.written_options import arguments
from reparam_suite.running import Surroundings
from reparam_suite.running.assembly import assemble
from reparam_suite.running.finishing import finish
from reparam_suite.running.fitting import add_callbacks, callbacks
from reparam_suite.running.resumption import CONFIG, checkpoint_directory, header
from reparam_suite.running.same_data import check_same_data
from reparam_suite.running.weights import recorded_best, restore_best, test_best
from reparam_suite.runtime import strict_yaml
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.studies import figures
from reparam_suite.studies.display import best_trials
from reparam_suite.studies.queue import RUNS, Queue
from reparam_suite.studies.settings import StudySettings
from reparam_suite.studies.space import Options
from reparam_suite.studies.storage import AWAY, when_it_answers
from reparam_suite.tracking import RunLogger, Store, TrackingError, TrackingSettings
from reparam_suite.tracking.views import KIND, SUMMARY
from reparam_suite.training import LAST, Checkpoints, Journal, StopSignals, read_checkpoint
from reparam_suite.versions import present_configuration

# An update takes some seconds of drawing: it is due when the study has taken this many times as long since the last.
_SHARE = 20

_ONE_DEVICE: Options = {"trainer.devices": 1, "trainer.num_nodes": 1, "trainer.strategy": "auto"}

_TESTED, _LEFT_OUT = "best.tested", "best.left_out"
"""Tags: the number of the trial whose test, figures and model the summary has; why it has none of the best trial."""

_OF_THE_TRIAL = ("name", "tags", "tracking")
"""Keys of a configuration that are the trial's and not the run's."""


@final
class Summary:
    """Keeps the summary run of a study up to date; where another command keeps it already, that one keeps it.

    Args:
        settings: of the study.
        store: where it is recorded.
        queue: of the trials.
        signals: that may end the command.
    """

    def __init__(self, settings: StudySettings, store: Store, queue: Queue, signals: StopSignals) -> None:
        self._settings = settings
        self._queue = queue
        self._store = store
        self._signals = signals
        self._metrics = tuple(settings.objectives)
        self._logger: RunLogger | None = None
        self._told: tuple[int, ...] = ()
        self._tested: float | None = None
        self._due = 0.0

    def places(self) -> dict[str, str]:
        """Where things are at the end, by what they are; empty where another command keeps the summary."""
        if self._logger is None:
            return {}
        place = self._logger.artifact_uri.removeprefix("file://")
        tested = {} if self._tested is None else {"test ELBO": f"{self._tested:.6g} of the best trial"}
        return tested | {
            "run": self._logger.run_id,
            "best.yaml": f"{place}/best.yaml",
            "trials.csv": f"{place}/trials.csv",
            "again": f"python -m reparam_suite.fit --config {shlex.quote(f'{place}/best.yaml')}",
            "options": shlex.join(self._best_options()),
        }

    def _best_options(self) -> list[str]:
        trial = best_trials(self._queue)[0]
        return arguments(self._settings.parsed_space.suggest(FixedTrial(trial.params)))

    def open(self) -> None:
        """Begins the run, or resumes it."""
        existing = [run for run in self._store.runs_named(self._name) if run.data.tags.get("study.run") == "summary"]
        if not existing:
            tags = {KIND: SUMMARY, "study": self._settings.name, "study.run": "summary"}
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
        if time.monotonic() >= self._due and when_it_answers(self._finished) != self._told:
            self.update()

    def update(self) -> None:
        """Draws and writes everything anew. It waits for a database that does not answer, unless a signal ends it."""
        if self._logger is None:
            return
        if self._signals.received is None:
            when_it_answers(partial(self._update, self._logger))
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
        """Tests, draws and exports the best trial into this run: what the trials themselves leave out."""
        best = when_it_answers(partial(best_trials, self._queue))
        if self._logger is None or not best:
            return
        trial = best[0]
        run_id = trial.user_attrs[RUNS][0]
        directory = checkpoint_directory(self._store.root, run_id)
        if not (directory / LAST).exists():
            self._leave_out(trial, f"the checkpoints of trial {trial.number} are not on this machine: {directory}")
            return
        content: dict[str, Any] = read_checkpoint(directory / LAST)
        journal = Journal()
        journal.load_state_dict(content["callbacks"]["StepRecord"]["journal"])
        journal.logger = self._logger
        chosen = self._settings.parsed_space.suggest(FixedTrial(trial.params)) | _ONE_DEVICE
        surroundings = Surroundings(Console(quiet=True), self._signals, relaunch=None)
        with unchanged_globals():
            run = self._settings.runs(TrackingSettings())(**chosen, seed=self._settings.seeds[0])
            parts = assemble(run, surroundings)
            try:
                check_same_data(parts, header(content).get("digest"), f"trial {trial.number}")
            except UsageError as error:
                self._leave_out(trial, str(error))
                return
            checkpoints = Checkpoints(monitor=parts.monitor)
            checkpoints.directory = directory
            add_callbacks(parts, callbacks(parts, journal, checkpoints, self._signals))
            parts.model.load_state_dict(content["state_dict"])  # those that count where there is no monitor
            if (value := recorded_best(self._store, run_id)) is not None:
                checkpoints.best = value
            if not restore_best(checkpoints, self._store, run_id):
                self._leave_out(trial, f"the best weights of trial {trial.number} are gone")
                return
            test_best(parts, checkpoints, tests=True)
            finish(parts, self._logger, journal, checkpoints, content["global_step"])
        self._tested = journal.latest("test/elbo")
        self._logger.set_tags({_TESTED: str(trial.number), **({_LEFT_OUT: "nothing"} if self._tag(_LEFT_OUT) else {})})

    def _leave_out(self, trial: FrozenTrial, why: str) -> None:
        if (tested := self._tag(_TESTED)) == str(trial.number):  # an earlier command has done it
            return
        told = f"the summary of the study has no test, figures and model of the best trial: {why}"
        if tested is not None:
            told += f"; those that it has are of trial {tested}"
        if self._logger is not None:
            self._logger.set_tags({_LEFT_OUT: told})
        warnings.warn(told, stacklevel=3)

    def _tag(self, name: str) -> str | None:
        # As it is on record.
        tags = {} if self._logger is None else self._store.run(self._logger.run_id).data.tags
        return tags.get(name)

    @property
    def _name(self) -> str:
        return f"{self._settings.name}-summary"

    def _finished(self) -> tuple[int, ...]:
        return tuple(place.trial.number for place in self._queue.places() if place.state.is_finished())

    def _log_best(self, logger: RunLogger, best: list[FrozenTrial]) -> None:
        for index, trial in enumerate(best):
            name = "best.yaml" if index == 0 else f"best-{index + 1}.yaml"
            logger.log_text(self._configuration(trial), name)
        for metric, value in zip(self._metrics, best[0].values, strict=True):
            logger.log_metrics({f"best/{metric}": value}, step=len(self._told))
        logger.set_tags({"best.trial": str(best[0].number), "best.run": " ".join(best[0].user_attrs[RUNS])})

    def _configuration(self, trial: FrozenTrial) -> str:
        # The file with which `fit` makes the runs of a trial again.
        run_id = trial.user_attrs[RUNS][0]
        with tempfile.TemporaryDirectory() as directory:
            file = checkpoint_directory(self._store.root, run_id) / CONFIG
            if not file.exists():
                file = self._store.fetch_artifact(run_id, CONFIG, Path(directory))
            recorded: dict[str, Any] = present_configuration(strict_yaml.read(file), self._model_of(run_id))
        config = {key: value for key, value in recorded.items() if key not in _OF_THE_TRIAL}
        if len(self._settings.seeds) > 1:
            config["seeds"] = list(self._settings.seeds)
        return yaml.safe_dump(config, sort_keys=False)

    def _model_of(self, run_id: str) -> Any:
        file = checkpoint_directory(self._store.root, run_id) / LAST
        return header(read_checkpoint(file))["model"] if file.exists() else None
