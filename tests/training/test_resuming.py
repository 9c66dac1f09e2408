"""A run that is killed at any hook of Lightning's and resumed from its files is the run that was never stopped."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EMAWeightAveraging
from tests.training.small import categorical, discrete, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.estimators import REBAR, ExponentialDecay, GumbelSoftmax, Learned, MovingAverage, ScoreFunction
from reparam_suite.models import VAE, CosineSchedule, OptimizerSettings, StepSchedule
from reparam_suite.objectives import ELBO
from reparam_suite.runtime.random_streams import random_state
from reparam_suite.training import (
    BetweenSteps,
    CheckpointFiles,
    Checkpoints,
    CheckpointSettings,
    EndpointRecord,
    GradientRecord,
    Journal,
    LatentRecord,
    PathRecord,
    StepRecord,
    StopSignals,
    Validation,
    end_training,
    nothing_left,
    read_checkpoint,
    shorten_loop,
)

BATCH_SIZE = 300  # 5 batches an epoch
TIMED = ("time/", "memory/", "cost/")


class Killed(BaseException):
    """Stands for SIGKILL: what is left is what is in files."""


HOOKS = [
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_train_batch_end",
    "on_validation_start",
    "on_validation_batch_end",
    "on_validation_epoch_end",
    "on_validation_end",
    "on_train_epoch_end",
    "on_train_end",
]


class Witness(Callback):
    """Notes the hooks that are called after each step; dies at one of them; draws from every generator."""

    def __init__(self, dies_at: int | None):
        self.calls: list[tuple[int, int, str]] = []
        self.dies_at = dies_at
        self.drawn: list[tuple[int, float, float, float]] = []

    def note(self, trainer, hook: str) -> None:
        if len(self.calls) == self.dies_at:
            raise Killed
        self.calls.append((trainer.global_step, trainer.current_epoch, hook))
        if hook == "on_train_batch_start":
            self.drawn.append((trainer.global_step, random.random(), np.random.rand(), torch.rand(()).item()))  # noqa: NPY002


for name in HOOKS:
    setattr(Witness, name, lambda self, trainer, *_, hook=name: self.note(trainer, hook))


@dataclass
class Attempt:
    """One process's part of a run."""

    model: VAE
    journal: Journal
    witness: Witness
    ended: bool
    random: dict[str, Any]
    optimizer: dict[str, Any]


def attempt(make, directory: Path, options: dict, *, dies_at=None, averaged=False) -> Attempt:
    """Starts, or resumes from last.ckpt, and comes as far as `dies_at` hooks."""
    with seeded():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        model, journal, witness, checkpoints = make(), Journal(), Witness(dies_at), Checkpoints(monitor="val/elbo")
        checkpoints.directory = directory
        record = StepRecord(every=4, journal=journal, checkpoints=checkpoints)
        settings = CheckpointSettings(every_steps=2)
        used = trainer(
            *([EMAWeightAveraging(decay=0.8, use_buffers=False)] if averaged else []),
            BetweenSteps(settings=settings, checkpoints=checkpoints, record=record, signals=StopSignals()),
            record,
            Validation(journal=journal, record=record, checkpoints=checkpoints),
            LatentRecord(journal=journal, record=record),
            GradientRecord(every=6, journal=journal, record=record),
            EndpointRecord(journal=journal, record=record),
            PathRecord(every=6, journal=journal),
            witness,
            checkpoints,
            **{"max_steps": -1, **options},
        )
        used.strategy.checkpoint_io = CheckpointFiles()
        shorten_loop(used)  # as every run does
        last = directory / "last.ckpt"
        found = last if last.exists() else None
        nothing = found is not None and nothing_left(used, read_checkpoint(found))
        try:
            used.fit(model, datamodule=Digits(batch_size=BATCH_SIZE), ckpt_path=found, weights_only=True)
            if nothing:
                end_training(used, model)
        except Killed:
            ended = False
        else:
            ended = True
        return Attempt(model, journal, witness, ended, random_state(), used.optimizers[0].state_dict())


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def curves(journal: Journal) -> dict[str, list[tuple[int, float]]]:
    return {
        name: curve
        for name, curve in journal.curves.items()
        if not (name.startswith(TIMED) or name.endswith("work_normalized_variance"))
    }


def assert_same(resumed: Attempt, whole: Attempt, number: int) -> None:
    assert resumed.ended, number
    assert curves(resumed.journal) == curves(whole.journal), number
    for name, curve in whole.journal.curves.items():
        assert [step for step, _ in resumed.journal.curves[name]] == [step for step, _ in curve], name
    assert equal(resumed.model.state_dict(), whole.model.state_dict()), number
    assert equal(resumed.optimizer, whole.optimizer), number
    assert equal(resumed.random, whole.random), number
    drawn = resumed.witness.drawn
    assert drawn == whole.witness.drawn[len(whole.witness.drawn) - len(drawn) :], number


HALVED = StepSchedule(every=3)
MODELS = {
    "gaussian": lambda: gaussian(
        objective=ELBO(warmup_steps=9),
        centre_input=True,
        initialize_bias=True,
        optimizer=OptimizerSettings(schedule=CosineSchedule(num_steps=9, warmup_steps=2)),
    ),
    "moving average": lambda: discrete(estimator=ScoreFunction(baseline=MovingAverage(decay=0.9))),
    "learned baseline": lambda: discrete(
        estimator=ScoreFunction(baseline=Learned(hidden_sizes=(4,))),
        prior="learned",
        optimizer={
            "prior": OptimizerSettings(name="SGD", learning_rate=0.1, options={"momentum": 0.5}, schedule=HALVED)
        },
    ),
    "REBAR": lambda: discrete(estimator=REBAR()),
    "schedule": lambda: categorical(estimator=GumbelSoftmax(temperature=ExponentialDecay(num_steps=10))),
}
SCHEDULES = {
    "epochs": {"max_epochs": 3},
    "steps": {"max_steps": 13},
    "steps to an epoch's end": {"max_steps": 10},
    "validation within epochs": {"max_epochs": 2, "val_check_interval": 2},
    "validation at the last step": {"max_steps": 12, "val_check_interval": 2},
    "validation by steps": {"max_epochs": 3, "val_check_interval": 3, "check_val_every_n_epoch": None},
    "validation every second epoch": {"max_epochs": 4, "check_val_every_n_epoch": 2},
    "short epochs": {"max_epochs": 4, "limit_train_batches": 3},
    "accumulated gradients": {"max_epochs": 3, "accumulate_grad_batches": 2},
    "no validation": {"max_epochs": 2, "limit_val_batches": 0},
}


def killed_everywhere(make, options, path: Path, stride: int, **more) -> None:
    whole = attempt(make, path / "whole", options, **more)
    assert whole.ended
    last = len(whole.witness.calls) - 1
    for number in {*range(0, last, stride), last}:
        directory = path / str(number)
        assert not attempt(make, directory, options, dies_at=number, **more).ended
        assert_same(attempt(make, directory, options, **more), whole, number)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_continues_from_any_hook_of_any_schedule(schedule, tmp_path):
    killed_everywhere(MODELS["gaussian"], SCHEDULES[schedule], tmp_path, stride=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "averaged"),
    [*((name, False) for name in MODELS), ("gaussian", True), ("REBAR", True)],
    ids=lambda value: {True: "averaged weights", False: "plain"}.get(value, value),
)
def test_all_that_was_learned_continues(model, averaged, tmp_path):
    killed_everywhere(MODELS[model], {"max_steps": 8, "val_check_interval": 2}, tmp_path, stride=7, averaged=averaged)
