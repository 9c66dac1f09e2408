"""A trial's run as it is trained: its running value for the pruner, and its state on the run's record."""

from collections.abc import Sequence
from typing import Any, Literal, final

import optuna
from lightning.pytorch import Callback, LightningModule, Trainer
from optuna.trial import Trial, TrialState

from reparam_suite.running import Observer
from reparam_suite.studies.search import Search
from reparam_suite.studies.storage import when_it_answers
from reparam_suite.studies.trial_data import check_trial_data
from reparam_suite.studies.values import value_of
from reparam_suite.tracking import RunLogger, reason
from reparam_suite.training import Journal, Stopped


@final
class Reports(Callback):
    """Reports a metric to the study at each validation, and ends a run that the pruner rejects.

    Args:
        trial: of the run.
        journal: which has the metric.
        metric: that is reported.
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
        when_it_answers(lambda: self._trial.report(value, step))
        if when_it_answers(self._trial.should_prune):
            raise optuna.TrialPruned(f"pruned at step {step}, where {self._metric} was {value:.6g}")


@final
class TrialObserver(Observer):
    """Takes part in a run of a trial: reports its value, and records the trial's state with the run.

    Args:
        search: of the trial.
        study: of the trial, which keeps the digest of the data; None in a further process of a run.
        trial: to report to; None: its runs are not pruned.

    Attributes:
        run_id: of the run, once it is on record.
    """

    in_full = False

    def __init__(self, search: Search, study: optuna.Study | None, trial: Trial | None) -> None:
        self.tests = search.tests
        self.run_id: str | None = None
        self._search = search
        self._study = study
        self._trial = trial

    def assembled(self, parts: Any) -> None:
        """Refuses data that were replaced since an earlier trial was trained on them."""
        if (study := self._study) is None:
            return
        attribute = check_trial_data(study, self._search.name, parts)
        if attribute is not None:
            when_it_answers(lambda: study.set_user_attr(attribute, parts.data.digest))

    def begun(self, logger: RunLogger, journal: Journal) -> Sequence[Callback]:
        """The callback that reports, if the study has a pruner."""
        self.run_id = logger.run_id
        if self._trial is None or self._search.pruner is None or self._search.reported is None:
            return []
        return [Reports(trial=self._trial, journal=journal, metric=self._search.reported)]

    def finished(self, logger: RunLogger, journal: Journal) -> None:
        """Raises an error if the run lacks a finite value of what it is judged by."""
        metrics = {name: curve[-1][1] for name, curve in journal.curves.items()}
        for metric in (*self._search.objectives, *self._search.constraints):
            value_of(metrics, metric)
        logger.set_tags({"trial.state": TrialState.COMPLETE.name})

    def failed(self, logger: RunLogger, error: BaseException) -> Literal["KILLED", "FAILED"]:
        """Records the trial's state and the reason; a run that was pruned or stopped is KILLED."""
        return record_failure(logger, error)


def record_failure(logger: RunLogger, error: BaseException) -> Literal["KILLED", "FAILED"]:
    """Tags a run of a trial that did not end well; the status that it is to have."""
    if isinstance(error, optuna.TrialPruned):
        logger.set_tags({"trial.state": TrialState.PRUNED.name, "trial.pruned": str(error)})
        return "KILLED"
    if isinstance(error, Stopped | KeyboardInterrupt):
        logger.set_tags({"trial.state": "STOPPED"})
        return "KILLED"
    logger.set_tags({"trial.state": TrialState.FAIL.name, "trial.error": told(error)})
    return "FAILED"


def told(error: BaseException) -> str:
    """An error in one line: its class and its reason."""
    return f"{type(error).__name__}: {reason(error)}"
