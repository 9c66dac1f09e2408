"""Lightning's logger of a run: at which step a metric is recorded, and what goes to the store's own logger."""

from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import Logger

from reparam_suite.training import Journal
from reparam_suite.training.journal_logger import JournalLogger


class Inner(Logger):
    """A store's logger that notes its calls."""

    name, version, save_dir = "experiment", "run 3", "place"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def log_metrics(self, metrics, step=None):
        self.calls.append(("metrics", metrics, step))

    def log_hyperparams(self, params, *_, **__):
        self.calls.append(("hyperparameters", params))

    def save(self):
        self.calls.append(("save",))

    def finalize(self, status):
        self.calls.append(("finalize", status))


def trainer(*, steps: int, counted: int) -> Any:
    """After so many optimizer steps, where Lightning has counted others."""
    epoch_loop = SimpleNamespace(_batches_that_stepped=counted)
    return SimpleNamespace(global_step=steps, fit_loop=SimpleNamespace(epoch_loop=epoch_loop))


@pytest.mark.parametrize(
    ("step", "recorded"),
    [(None, 7), (6, 7), (3, 3)],
    ids=["none", "Lightning's own, which is one behind", "a step of the caller's"],
)
def test_metrics_have_the_number_of_steps_taken(step, recorded):
    journal = Journal()
    logger = JournalLogger(journal=journal, trainer=trainer(steps=7, counted=6))
    logger.log_metrics({"val/elbo": -3, "epoch": 1}, step)
    assert dict(journal.curves) == {"val/elbo": [(recorded, -3.0)]}


def test_what_is_no_metric_goes_to_the_stores_logger():
    journal, inner = Journal(), Inner()
    journal.logger = inner
    logger = JournalLogger(journal=journal, trainer=trainer(steps=1, counted=0))
    logger.log_hyperparams({"a": 1})
    logger.save()
    logger.finalize("success")
    assert inner.calls == [("hyperparameters", {"a": 1}), ("save",), ("finalize", "success")]
    assert (logger.name, logger.version, logger.save_dir) == ("experiment", "run 3", "place")
    logger.log_metrics({"a": 2.0})
    assert inner.calls[3:] == [("metrics", {"a": 2.0}, 1)], "by the journal, once"


def test_without_a_logger_of_the_store_nothing_is_asked():
    logger = JournalLogger(journal=Journal(), trainer=trainer(steps=0, counted=0))
    logger.log_hyperparams({"a": 1})
    logger.save()
    logger.finalize("success")
    assert (logger.name, logger.version, logger.save_dir) == (None, None, None)
