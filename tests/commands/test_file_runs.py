"""Runs of a budget: of evaluations, of steps, of seconds."""

from functools import partial
from pathlib import Path

import pytest
import torch
from tests.running.models import gaussian

from reparam_suite import Run
from reparam_suite.commands.file_runs import Budget, RunsOfFile, num_steps
from reparam_suite.data import Loaders
from reparam_suite.running.assembly import DEFAULT_STEPS
from reparam_suite.runtime.errors import ArgumentTypeError
from reparam_suite.tracking import TrackingSettings

X = torch.rand(20, 64).round()
BASE = Path(__file__).parents[2] / "conf" / "discrete_vae.yaml"


def test_the_number_of_steps_needs_no_validation_split():
    run = Run(gaussian, partial(Loaders, train=[X], valid=[]))
    assert num_steps(run, 7) == 7 // gaussian().estimator.num_samples


@pytest.mark.parametrize(
    ("budget", "limits"),
    [
        (Budget(steps=7), (7, None, None)),
        (Budget(evaluations=7), (3, None, None)),
        (Budget(seconds=2), (None, None, {"seconds": 2.0})),
    ],
    ids=["steps", "evaluations", "seconds"],
)
def test_a_budget_limits_a_run(budget, limits):
    run = RunsOfFile(BASE, {"model.estimator": "DisARM"}, budget, TrackingSettings())(seed=0)
    assert (run.max_steps, run.max_epochs, run.trainer.get("max_time")) == limits


def test_a_run_ends_when_its_seconds_are_spent(tmp_path):
    options = {"data.batch_size": 50, "record.test_data": 0}
    result = RunsOfFile(BASE, options, Budget(seconds=0.5), TrackingSettings(root=tmp_path))(seed=0).fit()
    assert 1 <= result.history("train/elbo")["step"].max() < DEFAULT_STEPS


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_seconds_are_positive_and_finite(seconds):
    with pytest.raises(
        ValueError, match=r"^budget.seconds: expected a finite number above 0 and of at most 1e\+09, got"
    ):
        Budget(seconds=seconds)
    with pytest.raises(ArgumentTypeError, match=r"^budget.seconds: "):
        Budget(seconds="7")


def test_records_of_before_have_no_seconds():
    assert Budget(steps=6).recorded == {"steps": 6, "evaluations": None}
    assert Budget(seconds=6).recorded == {"steps": None, "evaluations": None, "seconds": 6.0}
