"""Callbacks of Lightning that cannot begin on a model are refused by name and argument."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    LearningRateFinder,
    StochasticWeightAveraging,
)
from tests.running.models import gaussian
from torch import nn

from reparam_suite.models import OptimizerSettings
from reparam_suite.running.own_callbacks import check_own_callbacks
from reparam_suite.runtime.errors import UsageError


def check(callback, model=None, max_epochs=-1) -> None:
    check_own_callbacks(model or gaussian(), SimpleNamespace(callbacks=[callback], max_epochs=max_epochs))


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        (
            StochasticWeightAveraging(0.1),
            "StochasticWeightAveraging: swa_epoch_start: expected the number of an epoch without max_epochs, got 0.8",
        ),
        (
            StochasticWeightAveraging([0.1, 0.2], swa_epoch_start=1),
            "StochasticWeightAveraging: swa_lrs: expected one number, or 1 for 1 groups of parameters, got [0.1, 0.2]",
        ),
        (
            LearningRateFinder(min_lr=-1.0),
            "a run trains with the learning_rate that is on record, and a study searches it, expected no callback that "
            "changes it, got LearningRateFinder",
        ),
        (
            BatchSizeFinder(),
            "a run trains with the batch_size that is on record, and a study searches it, expected no callback that "
            "changes it, got BatchSizeFinder",
        ),
        (BackboneFinetuning(), "BackboneFinetuning: expected a model with a module backbone, got GaussianVAE"),
    ],
)
def test_what_lightning_would_find_out_in_the_run_is_refused(callback, told):
    with pytest.raises(UsageError) as refused:
        check(callback)
    assert str(refused.value) == f"trainer.callbacks: {told}"


def test_what_can_begin_is_taken():
    check(StochasticWeightAveraging(0.1), max_epochs=3)
    check(StochasticWeightAveraging(0.1, swa_epoch_start=2))
    parts = {"decoder": OptimizerSettings(name="SGD", learning_rate=0.1)}
    check(StochasticWeightAveraging([0.1, 0.2], swa_epoch_start=1), gaussian(optimizer=parts))
    model = gaussian()
    model.backbone = nn.Linear(1, 1)
    check(BackboneFinetuning(), model)
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), 0.1)
    check(StochasticWeightAveraging(0.1, swa_epoch_start=1), model)
