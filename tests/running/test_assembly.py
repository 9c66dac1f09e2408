"""The parts of a run, made and checked against each other before anything is recorded."""

import numpy as np
import pytest
from rich.console import Console
from tests.running.models import Regression, gaussian, rows, short
from torch import nn

from reparam_suite import Run
from reparam_suite.data import Arrays, Digits
from reparam_suite.estimators import Pathwise
from reparam_suite.running import Surroundings, surroundings
from reparam_suite.running.assembly import Assembly, assemble, check_model
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import StopSignals


def assembled(*given, **options) -> Assembly:
    with unchanged_globals():
        return assemble(Run(*given, **options), Surroundings(Console(quiet=True), StopSignals(), None))


@pytest.mark.parametrize(
    ("options", "steps", "epochs"),
    [
        ({}, 5_000, -1),
        ({"max_steps": 3}, 3, -1),
        ({"max_epochs": 2}, -1, 2),
        ({"max_steps": 3, "max_epochs": 2}, 3, 2),
        ({"trainer": {"max_time": "00:00:01:00"}}, -1, -1),
    ],
)
def test_without_a_limit_a_run_has_a_number_of_steps(options, steps, epochs):
    trainer = assembled(gaussian, Digits, **options).trainer
    assert (trainer.max_steps, trainer.max_epochs) == (steps, epochs)


def test_what_the_model_proposes_is_monitored_and_the_test_is_of_both():
    vae, other = assembled(gaussian, Digits), assembled(lambda: Regression(Pathwise()), rows())
    assert (vae.monitor, other.monitor) == ("val/elbo", None)
    assert (vae.tests, other.tests) == (True, False)
    assert assembled(gaussian, Digits, monitor="-val/kl").monitor == "-val/kl"


def test_data_begin_with_the_seed_of_the_run_and_are_kept_as_they_were_given():
    data = Digits()
    parts = assembled(gaussian, data, seed=5)
    assert parts.given_data is data
    first, other = (next(iter(made.data.train_dataloader())) for made in (parts, assembled(gaussian, Digits, seed=6)))
    assert not (first == other).all()
    again = next(iter(assembled(gaussian, Digits, seed=5).data.train_dataloader()))
    assert (first == again).all()


@pytest.mark.parametrize(
    ("model", "told"),
    [(nn.Linear(2, 2), "got Linear;"), ("a name", "got str;")],
    ids=["no LightningModule", "no module"],
)
def test_what_cannot_be_trained_with_an_estimator_is_refused(model, told):
    with pytest.raises(TypeError, match=f"model: expected a LightningModule with `expectation.*{told}"):
        check_model(model)


def test_a_module_without_an_expectation_is_told_what_it_lacks():
    model = Regression(Pathwise())
    del model.estimator
    with pytest.raises(TypeError, match=r"got Regression without estimator; reparam_suite.models.EstimatorModule"):
        check_model(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed: expected 0 to 4294967295, got -1"),
        ({"max_steps": 0}, "max_steps: expected at least 1, or -1 for no limit, got 0"),
        ({"max_steps": 1, "trainer": {"max_steps": 3}}, "trainer: max_steps is an argument of Run itself"),
        ({"trainer": {"max_stepps": 3}}, "trainer: expected options of Lightning's Trainer, got max_stepps"),
        ({"trainer": {"precision": "64-true"}}, "trainer.precision: weights are float32, expected 32-true"),
        ({"trainer": {"val_check_interval": 99}}, "an epoch has 13 batches, expected at most that many, got 99"),
        ({"monitor": "val/elb"}, "val/elb"),
    ],
)
def test_options_out_of_range_are_refused_with_nothing_on_record(tmp_path, options, message):
    tracking = TrackingSettings(root=tmp_path / "mlruns")
    with pytest.raises(ValueError, match=message):
        Run(gaussian, Digits(), **(short(tracking) | options)).fit()
    if "monitor" not in options:
        assert not tracking.root.exists()


def test_data_that_do_not_fit_are_refused_before_anything_is_recorded_naming_both_sides(tmp_path):
    counts = np.random.default_rng(0).poisson(3.0, size=(50, 20))
    tracking = TrackingSettings(root=tmp_path / "mlruns")
    with pytest.raises(
        ValueError, match=r"expected rows of shape \(64,\), the event_shape of GaussianVAE, got \(20,\) from arrays"
    ):
        Run(gaussian, Arrays.of(train=counts, valid=counts), **short(tracking)).fit()
    pairs = Arrays.of(train=0.5 * counts[:, :2], valid=0.5 * counts[:, :2])
    with pytest.raises(
        ValueError, match=r"takes the batches of arrays, \[50, 2\] of torch.float32, got Regression: index 3 is out"
    ):
        Run(lambda: Regression(Pathwise()), pairs, **short(tracking)).fit()
    assert not tracking.root.exists()


def test_several_devices_are_refused_where_the_program_cannot_be_started_again(tracking, monkeypatch):
    monkeypatch.setattr(surroundings, "script_command", lambda: None)
    with pytest.raises(ValueError, match=r"trainer\.devices: expected one, since further processes .*, got 2"):
        Run(gaussian, Digits(), **short(tracking, trainer={"devices": 2, "accelerator": "cpu"})).fit()
