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
from tests.running.models import Regression, gaussian, rows, short
from tests.studies.small import RATE, study_file

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.estimators import Pathwise
from reparam_suite.models import OptimizerSettings
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import stopping


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


# ------------------------------------------------------------------------------------------------- what stays as it was


def test_a_call_leaves_the_process_as_it_was_and_prints_nothing(tracking, capfd):
    def state():
        return {
            "torch": torch.get_rng_state().tolist(),
            "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
            "python": random.getstate(),
            "threads": torch.get_num_threads(),
            "handlers": [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)],
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


def test_a_run_and_a_command_in_a_thread_train_without_handlers_and_say_so_once(tmp_path, caplog):
    tracking = TrackingSettings(root=tmp_path / "mlruns")
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
