"""A trial's run as it trains: what the pruner sees, and how its end is recorded."""

import math
import signal
from types import SimpleNamespace

import optuna
import pytest
from optuna.pruners import NopPruner, ThresholdPruner
from tests.studies.searches import search

from reparam_suite.studies.reports import Reports, TrialObserver, record_failure, told
from reparam_suite.training import Journal, Stopped


class Logger:
    """Keeps tags."""

    run_id = "its id"

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def set_tags(self, tags):
        self.tags |= tags


def trainer(step: int, *, sanity_checking: bool = False) -> SimpleNamespace:
    return SimpleNamespace(global_step=step, sanity_checking=sanity_checking)


def test_each_validation_is_reported_and_a_run_that_the_pruner_rejects_ends():
    study = optuna.create_study(pruner=ThresholdPruner(lower=-40.0), direction="maximize")
    journal, trial = Journal(), study.ask()
    reports = Reports(trial=trial, journal=journal, metric="val/elbo")
    reports.on_validation_end(trainer(0), None)  # nothing is recorded yet
    for step, value in ((3, -30.0), (6, -20.0)):
        journal.write({"val/elbo": value, "val/kl": -99.0}, step)
        reports.on_validation_end(trainer(step), None)
    reports.on_validation_end(trainer(7, sanity_checking=True), None)
    journal.write({"val/elbo": -50.123456789}, 9)
    with pytest.raises(optuna.TrialPruned, match=r"^pruned at step 9, where val/elbo was -50\.1235$"):
        reports.on_validation_end(trainer(9), None)
    assert study.trials[0].intermediate_values == {3: -30.0, 6: -20.0, 9: -50.123456789}


def test_a_run_reports_where_there_is_a_pruner_and_a_value_along_training():
    trial = optuna.create_study().ask()
    pruned = search(pruner=NopPruner())
    for given, study_trial, reports in (
        (pruned, trial, True),
        (search(), trial, False),
        (pruned, None, False),
        (search(pruner=NopPruner(), objectives={"test/elbo": "maximize"}), trial, False),
    ):
        observer = TrialObserver(given, None, study_trial)
        callbacks = observer.begun(Logger(), Journal())
        assert [type(callback) for callback in callbacks] == [Reports] * reports
        assert observer.run_id == "its id"


def journal_of(**metrics: float) -> Journal:
    journal = Journal()
    journal.write({name.replace("__", "/"): value for name, value in metrics.items()}, 5)
    return journal


def test_a_run_that_lacks_what_it_is_judged_by_fails_at_its_end():
    logger, observer = Logger(), TrialObserver(search(constraints={"val/kl": None}), None, None)
    observer.finished(logger, journal_of(val__elbo_best=-20.0, val__kl=3.0))
    assert logger.tags == {"trial.state": "COMPLETE"}
    with pytest.raises(ValueError, match=r"^val/elbo_best is nan$"):
        observer.finished(Logger(), journal_of(val__elbo_best=math.nan, val__kl=3.0))
    with pytest.raises(ValueError, match=r"^the run has no metric val/kl"):
        observer.finished(Logger(), journal_of(val__elbo_best=-20.0))


@pytest.mark.parametrize(
    ("error", "status", "tags"),
    [
        (
            optuna.TrialPruned("pruned at step 4"),
            "KILLED",
            {"trial.state": "PRUNED", "trial.pruned": "pruned at step 4"},
        ),
        (Stopped(signal.SIGTERM), "KILLED", {"trial.state": "STOPPED"}),
        (KeyboardInterrupt(), "KILLED", {"trial.state": "STOPPED"}),
        (ValueError("too\nfast"), "FAILED", {"trial.state": "FAIL", "trial.error": "ValueError: too"}),
    ],
)
def test_the_end_of_a_run_is_recorded_as_that_of_its_trial(error, status, tags):
    logger = Logger()
    assert record_failure(logger, error) == TrialObserver(search(), None, None).failed(logger, error) == status
    assert logger.tags == tags


def test_an_error_is_told_in_a_line():
    assert told(RuntimeError("postgresql://ada:secret@db\nis away")) == "RuntimeError: postgresql://***@db"
