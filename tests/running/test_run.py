"""Runs from Python: what a call trains, records and returns, and what it leaves as it was."""

import logging
import random
import signal
import threading
import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from tests import launching
from tests.launching import undrawn
from tests.running.models import Regression, gaussian
from tests.studies.small import RATE, study_file

from reparam_suite import Run, runs
from reparam_suite.data import Arrays, Digits
from reparam_suite.estimators import Pathwise
from reparam_suite.models import OptimizerSettings
from reparam_suite.running import surroundings
from reparam_suite.tracking import RunLogger, Store, TrackingSettings
from reparam_suite.training import RecordSettings, stopping


@pytest.fixture(scope="module")
def tracking(tmp_path_factory) -> TrackingSettings:
    """One store for the runs of this module."""
    return TrackingSettings(root=tmp_path_factory.mktemp("runs") / "mlruns")


def short(tracking, **options) -> dict:
    record = RecordSettings(every=4, gradients_every=6, test_data=0)
    return {"max_steps": 8, "record": record, "tracking": tracking} | options


@pytest.fixture(scope="module")
def result(tracking):
    with undrawn():
        return Run(gaussian, Digits(), seed=3, tags={"lesson": "1"}, **short(tracking)).fit()


@pytest.fixture(scope="module")
def regression(tracking):
    """Of a model that is no VAE, on data without a test split, with a monitor of its own."""
    with undrawn():
        return Run(lambda: Regression(Pathwise()), rows(), monitor="-val/loss", **short(tracking)).fit()


def rows() -> Arrays:
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    return Arrays.of(train=x[:200], valid=x[200:], name="rows")


# --------------------------------------------------------------------------------------------------------------- result


def test_a_result_has_the_metrics_that_are_on_record(result, tracking):
    recorded = Store.open(tracking).run(result.run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.metrics == pytest.approx(dict(result.metrics))
    assert (result.name, result.seed, result.num_steps) == ("Pathwise-3-Digits", 3, 8)
    assert {"test/elbo", "grad/encoder/variance", "val/elbo_best", "val/elbo_best_step"} <= set(result.metrics)


def test_the_history_of_a_metric_is_a_frame(result):
    frame = result.history("train/elbo")
    assert list(frame.columns) == ["step", "value"]
    assert list(frame["step"]) == [1, 4, 8]
    assert frame["value"].iloc[-1] == result.metrics["train/elbo"]
    with pytest.raises(KeyError, match=r"history: expected one of .*train/elbo.*, got train/nothing"):
        result.history("train/nothing")


def test_the_model_of_a_result_has_the_best_weights_and_no_trainer(result, tracking):
    best = tracking.root / "checkpoints" / result.run_id / "best.ckpt"
    saved = torch.load(best, weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[name]) for name, value in result.model.state_dict().items())
    assert not result.model.training
    assert result.model._trainer is None


def test_figures_are_drawn_by_name(result, regression):
    assert {"reconstructions", "samples", "latent_traversal", "curves", "gradient_variance"} <= set(result.figures())
    assert {"curves", "gradient_variance"} <= set(regression.figures())
    assert "reconstructions" not in regression.figures()


@pytest.mark.usefixtures("undrawn")
def test_a_module_is_trained_in_place_and_a_callable_gets_weights_by_seed(tracking):
    torch.manual_seed(7)
    model = gaussian()
    before = model.posterior.network[0].weight.clone()
    result = Run(model, Digits(), **short(tracking)).fit()
    assert result.model is model
    assert not torch.equal(before, model.posterior.network[0].weight)
    first, again, other = (
        Run(gaussian, Digits(), seed=seed, **short(tracking, max_steps=1)).fit().metrics["val/elbo"]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_runs_is_a_table_of_them(result, tracking):
    table = runs("tags.lesson = '1'", tracking=tracking)
    assert list(table["run_id"]) == [result.run_id]
    row = table.iloc[0]
    assert (row["estimator"], row["seed"], row["status"]) == ("Pathwise()", 3, "FINISHED")
    assert row["test/elbo"] == pytest.approx(result.metrics["test/elbo"])
    assert len(runs(tracking=tracking)) > 1
    assert len(runs(tracking=TrackingSettings(root=tracking.root / "nowhere"))) == 0


# ----------------------------------------------------------------------------------------------------- any other model


def test_a_model_that_is_no_vae_has_its_own_metrics_and_parts(regression):
    assert {"val/loss", "train/objective", "grad/hidden/variance", "grad/output/variance"} <= set(regression.metrics)
    assert not [name for name in regression.metrics if name.startswith(("test/", "latent/"))]
    curve = regression.history("val/loss")
    best = curve["value"][curve["step"] > 0].min()
    assert regression.metrics["val/loss_best"] == best
    assert regression.metrics["val/loss_best_step"] == curve["step"][curve["value"] == best].iloc[0]


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_shall_go_further_resumes_and_is_the_run_at_once(tracking):
    parts = {"model": lambda: Regression(Pathwise()), "data": rows()}
    begun = Run(*parts.values(), seed=5, monitor="-val/loss", **short(tracking)).fit()
    longer = Run.resume(begun.run_id, **parts, max_steps=16, tracking=tracking).fit()
    assert (longer.run_id, longer.num_steps, longer.seed) == (begun.run_id, 16, 5)
    whole = Run(*parts.values(), seed=5, monitor="-val/loss", **short(tracking, max_steps=16)).fit()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, longer.model.state_dict()[name]), name


class Plain(LightningModule):
    def training_step(self, batch, batch_idx):
        return batch.sum()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Plain, "got Plain without expectation and estimator; reparam_suite.models.EstimatorModule is a base"),
        (lambda: 3, "got int; reparam_suite.models.EstimatorModule is a base"),
    ],
)
def test_a_model_without_an_estimator_is_refused_by_what_it_lacks(tracking, model, message):
    make = model if not isinstance(model, type) else (lambda: model())
    with pytest.raises(TypeError, match=message):
        Run(make, Digits(), **short(tracking)).fit()


# ------------------------------------------------------------------------------------------------------------- refusals


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


@pytest.mark.parametrize("by_part", [False, True])
def test_an_optimizer_for_gpus_is_refused_on_the_cpu(tmp_path, by_part):
    settings, tracking = OptimizerSettings(options={"capturable": True}), TrackingSettings(root=tmp_path / "mlruns")
    model = gaussian(optimizer={"decoder": settings} if by_part else settings)
    with pytest.raises(
        ValueError, match=r"model.optimizer: expected capturable false, since it is for GPUs, got true on"
    ):
        Run(model, Digits(), **short(tracking, trainer={"accelerator": "cpu"})).fit()
    assert not tracking.root.exists()


def test_neither_a_module_nor_a_callable_is_refused():
    with pytest.raises(TypeError, match="model: expected a LightningModule, or a callable without arguments"):
        Run(3, Digits())
    with pytest.raises(TypeError, match="data: expected a LightningDataModule, or a callable"):
        Run(gaussian, [1, 2])


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


# ------------------------------------------------------------------------------------------------- what stays as it was


def test_a_call_leaves_the_process_as_it_was_and_prints_nothing(tracking, capfd):
    def state():
        return {
            "torch": torch.get_rng_state().tolist(),
            "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
            "python": random.getstate(),
            "threads": torch.get_num_threads(),
            "handlers": [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)],
            "filters": list(warnings.filters),
            "levels": [logging.getLogger(f"lightning.{name}").level for name in ("pytorch", "fabric")],
            "grad": torch.is_grad_enabled(),
        }

    Store.open(tracking)
    before = state()
    capfd.readouterr()
    Run(gaussian, Digits(), **short(tracking)).fit()
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_a_run_and_a_command_in_a_thread_train_without_handlers_and_say_so_once(tracking, tmp_path, caplog):
    stopping._say_that_signals_are_left_alone.cache_clear()
    file = study_file(tmp_path, space=RATE, trials=1, budget={"steps": 2})
    calls = [
        lambda: Run(gaussian, Digits(), **short(tracking, max_steps=2)).fit().num_steps,
        lambda: launching.fit("--trainer.max_steps", "1", "--record.test_data", "0", root=tracking.root).code,
        lambda: launching.study("--config", file, root=tracking.root).code,
        lambda: launching.compare("runs", root=tracking.root).code,
    ]
    results = []
    with caplog.at_level("WARNING"):
        for call in calls:
            thread = threading.Thread(target=lambda call=call: results.append(call()))
            thread.start()
            thread.join()
    assert results == [2, 0, 0, 0]
    told = [record.message for record in caplog.records if "main thread" in record.message]
    assert told == ["a run outside of the main thread: Ctrl-C and SIGTERM leave no checkpoint of their step"]


def test_ctrl_c_during_the_last_upload_finds_a_run_that_is_finished(tracking, monkeypatch):
    real = RunLogger.close

    def close(logger, status):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)  # a later one changes nothing
        real(logger, status)

    monkeypatch.setattr("reparam_suite.running.fitting.finish", lambda *_, **__: None)
    monkeypatch.setattr(RunLogger, "close", close)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Run(gaussian, Digits(), name="uploading", **short(tracking, max_steps=1)).fit()
    assert signal.getsignal(signal.SIGINT) is handler
    (run,) = Store.open(tracking).runs_named("uploading")
    assert run.info.status == "FINISHED"
    assert "test/elbo" in run.data.metrics


@pytest.mark.usefixtures("undrawn")
def test_ctrl_c_is_a_keyboard_interrupt_and_leaves_a_checkpoint_of_its_step(tracking):
    def interrupted():
        model = gaussian()
        original = model.training_step

        def training_step(batch, batch_idx):
            if model.global_step == 5:
                signal.raise_signal(signal.SIGINT)
            return original(batch, batch_idx)

        model.training_step = training_step
        return model

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="interrupted after step 6; the run is recorded as KILLED"):
        Run(interrupted, Digits(), name="stopped", **short(tracking, max_steps=20)).fit()
    assert signal.getsignal(signal.SIGINT) is handler
    (run,) = Store.open(tracking).runs_named("stopped")
    assert run.info.status == "KILLED"
    last = torch.load(tracking.root / "checkpoints" / run.info.run_id / "last.ckpt", weights_only=True)
    assert last["global_step"] == 6
    resumed = Run.resume(run.info.run_id, max_steps=8, tracking=tracking).fit()
    assert (resumed.run_id, resumed.num_steps) == (run.info.run_id, 8)
