"""One trial: its runs trained one after the other, recorded lightly, and its values told to the study."""

import gc
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import final

import optuna
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FixedTrial, FrozenTrial, Trial, TrialState

from reparam_suite.commands.command_line import Command
from reparam_suite.running.run import keep_config, prepare, put_on_record, run_tags
from reparam_suite.studies import space
from reparam_suite.studies.queue import ERROR, RUNS
from reparam_suite.studies.replica import fit_trial
from reparam_suite.studies.settings import StudySettings, steps_of
from reparam_suite.studies.storage import patiently, put_back
from reparam_suite.tracking import RunLogger, Store, reason
from reparam_suite.training import BEST, Checkpoints, Journal, Stopped, StopSignals


@final
class Reports(Callback):
    """Tells the study how a run stands at each validation, and ends a run that the pruner gives up.

    Args:
        trial: of the run.
        journal: which has the metric.
        metric: that is told.
    """

    def __init__(self, *, trial: Trial, journal: Journal, metric: str) -> None:
        self._trial = trial
        self._journal = journal
        self._metric = metric

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """The metric of this validation is in the journal already."""
        value, step = self._journal.latest(self._metric), trainer.global_step
        if trainer.sanity_checking or value is None:
            return
        patiently(lambda: self._trial.report(value, step))
        if patiently(self._trial.should_prune):
            raise optuna.TrialPruned(f"pruned at step {step}, where {self._metric} was {value:.6g}")


@final
@dataclass(frozen=True)
class TrialRunner:
    """Runs trials in this process.

    Args:
        settings: of the study.
        store: where runs are recorded.
        signals: which end a run between two steps.
    """

    settings: StudySettings
    store: Store
    signals: StopSignals

    def run(self, trial: Trial) -> None:
        """Runs a claimed trial and tells the study how it ended. An error of a trial is the trial's alone.

        Raises:
            Stopped: if a signal ended it; it waits to be claimed again then.
        """
        try:
            values = self._values(trial, patiently(lambda: space.suggest(self.settings.dimensions, trial)))
        except optuna.TrialPruned:
            _tell(trial, TrialState.PRUNED)
        except Stopped:
            _tell(trial, TrialState.FAIL)
            patiently(lambda: put_back(trial.study, _frozen(trial)))
            raise
        except Exception as error:  # noqa: BLE001 - whatever a configuration breaks, the next one may work
            _tell(trial, TrialState.FAIL, error=_told(error))
        else:
            _tell(trial, TrialState.COMPLETE, values)
        finally:
            gc.collect()  # a trainer and its model refer to each other

    def _values(self, trial: Trial, chosen: space.Options) -> list[float]:
        runs = {}
        for seed in self.settings.seeds:
            run_id, journal = self._train(trial, chosen, seed)
            runs[run_id] = journal
        patiently(lambda: trial.set_user_attr(RUNS, list(runs)))
        journals = list(runs.values())
        for metric, limit in self.settings.constraints.items():
            violations = limit.violations(_mean(journals, metric))
            patiently(partial(_constrain, trial, metric, violations))
        return [_mean(journals, metric) for metric in self.settings.objectives]

    def _train(self, trial: Trial, chosen: space.Options, seed: int) -> tuple[str, Journal]:
        tags = {"study": self.settings.name, "study.run": "trial", "trial.number": str(trial.number)}
        name = f"{self.settings.name}-{trial.number}" + (f"-seed-{seed}" if len(self.settings.seeds) > 1 else "")
        try:
            command = self.command(chosen, seed)
        except Exception as error:
            logger = self.store.start_run(name=name, parameters=chosen, tags=tags)
            _end(logger, error)
            raise
        config = {key: value for key, value in command.resolved_config().items() if key != "tracking"}
        logger = self.store.start_run(name=name, parameters=config, tags=tags | run_tags(command))
        journal, checkpoints = Journal(), Checkpoints()
        try:
            put_on_record(command, logger, journal, checkpoints, self.store.root)
            self._fit(command, journal, checkpoints, self._reports(trial, journal, seed))
        except BaseException as error:
            self.signals.wait()
            _end(logger, error)
            raise
        assert checkpoints.directory is not None
        if (best := checkpoints.directory / BEST).exists():
            logger.log_artifact(best, "checkpoints")
        logger.set_tags({"trial.state": TrialState.COMPLETE.name})
        logger.close("FINISHED")
        return logger.run_id, journal

    def _reports(self, trial: Trial, journal: Journal, seed: int) -> list[Callback]:
        if self.settings.pruner.name == "NopPruner" or seed != self.settings.seeds[0]:
            return []
        return [Reports(trial=trial, journal=journal, metric=next(iter(self.settings.objectives)))]

    def _fit(self, command: Command, journal: Journal, checkpoints: Checkpoints, more: list[Callback]) -> None:
        keep_config(command, checkpoints)
        fit_trial(command, journal, checkpoints, self.signals, more)
        self.signals.wait()
        for metric in (*self.settings.objectives, *self.settings.constraints):
            _value(journal, metric)

    def chosen(self, trial: FrozenTrial) -> space.Options:
        """The options that a finished trial ran with."""
        return space.suggest(self.settings.dimensions, FixedTrial(trial.params))

    def configuration(self, trial: FrozenTrial) -> str:
        """The file with which `fit` makes the runs of a finished trial again."""
        command = self.command(self.chosen(trial), self.settings.seeds[0])
        config = {key: value for key, value in command.resolved_config().items() if key != "tracking"}
        if len(self.settings.seeds) > 1:
            config["seeds"] = list(self.settings.seeds)
        return yaml.safe_dump(config, sort_keys=False)

    def command(self, chosen: space.Options, seed: int) -> Command:
        """A run of a trial, ready to train.

        Raises:
            UsageError: if what was chosen does not fit together.
            DataError: if the data cannot be had.
        """
        arguments = self.settings.arguments(chosen, seed)
        command = Command(arguments)
        prepare(command)
        if self.settings.budget.evaluations is not None:
            steps = steps_of(command, self.settings.budget.evaluations)
            command = Command([*arguments, f"--trainer.max_steps={steps}"])
            prepare(command)
        return command


def _value(journal: Journal, metric: str) -> float:
    value = journal.latest(metric)
    if value is None:
        raise ValueError(f"the run has no metric {metric}; it has {', '.join(sorted(journal.curves))}")
    if not math.isfinite(value):
        raise ValueError(f"{metric} is {value}")
    return value


def _mean(journals: Sequence[Journal], metric: str) -> float:
    return fmean(_value(journal, metric) for journal in journals)


def _constrain(trial: Trial, metric: str, violations: Mapping[str, float]) -> None:
    for end, violation in violations.items():
        if (name := f"{metric} {end}") not in trial.constraints:  # set once, and an attempt may have been cut off here
            trial.set_constraint(name, violation)


def _end(logger: RunLogger, error: BaseException) -> None:
    if isinstance(error, optuna.TrialPruned):
        logger.set_tags({"trial.state": TrialState.PRUNED.name, "trial.pruned": str(error)})
        logger.close("KILLED")
    elif isinstance(error, Stopped):
        logger.set_tags({"trial.state": "STOPPED"})
        logger.close("KILLED")
    else:
        logger.set_tags({"trial.state": TrialState.FAIL.name, "trial.error": _told(error)})
        logger.close("FAILED")


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {reason(error)}"


def _frozen(trial: Trial) -> FrozenTrial:
    return trial.study.get_trials(deepcopy=True)[trial.number]


def _tell(trial: Trial, state: TrialState, values: list[float] | None = None, *, error: str | None = None) -> None:
    def tell() -> None:
        if error is not None:
            trial.set_user_attr(ERROR, error)
        trial.study.tell(trial, values, state, skip_if_finished=True)

    # A trial that seemed dead was given to another worker: that one's result counts.
    with suppress(UpdateFinishedTrialError):
        patiently(tell)
