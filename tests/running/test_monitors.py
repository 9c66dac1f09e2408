"""Monitors are checked on one batch, before a run exists, and leave the model as it was."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from tests.running.models import Regression

from reparam_suite.data import Arrays
from reparam_suite.estimators import Pathwise
from reparam_suite.running.monitors import check_monitors, validation_metrics
from reparam_suite.runtime.errors import UsageError

ROWS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
DATA = Arrays.of(train=ROWS[:20], valid=ROWS[20:], name="rows")


def trainer(*callbacks: Callback, limit: float = 1.0) -> SimpleNamespace:
    return SimpleNamespace(callbacks=list(callbacks), limit_val_batches=limit)


def test_the_metrics_of_a_validation_without_a_trace_of_it():
    model, state = Regression(Pathwise()), torch.get_rng_state()
    assert validation_metrics(model, DATA, trainer()) == ["val/loss"]
    assert validation_metrics(model, DATA, trainer(limit=0)) == []
    assert model.training
    assert "log" not in vars(model)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_metric_that_is_not_there_is_named_with_those_that_are():
    check_monitors(Regression(Pathwise()), DATA, trainer(), "-val/loss")
    with pytest.raises(UsageError, match=r"monitor.*val/los.*val/loss"):
        check_monitors(Regression(Pathwise()), DATA, trainer(), "val/los")
    with pytest.raises(UsageError, match="monitor: expected a validation that gives val/loss, got none"):
        check_monitors(Regression(Pathwise()), DATA, trainer(limit=0), "val/loss")


def test_the_monitor_of_a_callback_is_checked_and_early_stopping_waits_for_its_first_value():
    stopping = EarlyStopping("val/loss")
    check_monitors(Regression(Pathwise()), DATA, trainer(stopping), None)
    assert not stopping.strict
    with pytest.raises(UsageError, match=r"trainer.callbacks: EarlyStopping: .*val/elbo"):
        check_monitors(Regression(Pathwise()), DATA, trainer(EarlyStopping("val/elbo")), None)


def test_hooks_that_ask_for_a_trainer_are_left_to_the_first_validation():
    class Asks(Regression):
        def validation_step(self, batch, batch_idx: int) -> None:
            self.log("val/loss", self.trainer.current_epoch)

    check_monitors(Asks(Pathwise()), DATA, trainer(EarlyStopping("anything")), "anything")
