"""Options of Lightning's Trainer: each works as Lightning promises, or is refused by name before a run exists."""

import inspect
import io
import logging
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from tests.running.models import gaussian
from tests.running.resuming import Brief

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.running import Observer, Surroundings
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import RecordSettings, StopSignals

# What becomes of each option: "works", as the test of that name below shows, or the refusal of one value.
OPTIONS = {
    "accelerator": "works",
    "accumulate_grad_batches": "works",
    "barebones": (True, "a run is recorded, expected False, got True"),
    "benchmark": "works",
    "callbacks": "works",
    "check_val_every_n_epoch": "works",
    "default_root_dir": ("here", "a run is stored below tracking.root, expected None, got here"),
    "detect_anomaly": "works",
    "deterministic": "works",
    "devices": "works",
    "enable_autolog_hparams": "works",
    "enable_checkpointing": (True, "a run keeps the checkpoints that `checkpoint` says, expected None, got True"),
    "enable_model_summary": "works",
    "enable_progress_bar": "works",
    "fast_dev_run": (True, "a run is recorded whole, and a small max_steps makes it short, expected False, got True"),
    "gradient_clip_algorithm": "works",
    "gradient_clip_val": "works",
    "inference_mode": "works",
    "limit_predict_batches": (2, "a run predicts nothing, expected None, got 2"),
    "limit_test_batches": "works",
    "limit_train_batches": "works",
    "limit_val_batches": "works",
    "log_every_n_steps": "works",
    "logger": (
        False,
        "a run is recorded in MLflow, and its option `loggers` names others that get every number, expected none, "
        "got False",
    ),
    "max_epochs": "works",
    "max_steps": "works",
    "max_time": "works",
    "min_epochs": "works",
    "min_steps": "works",
    "model_registry": ("name", "a run is recorded in MLflow, which has a registry, expected None, got name"),
    "num_nodes": "works",
    "num_sanity_val_steps": "works",
    "overfit_batches": (
        2,
        "epochs would have other batches each; data with few rows are what can be overfitted, expected 0, got 2",
    ),
    "plugins": ([1], "a run has plugins of its own for checkpoints and processes, expected None, got [1]"),
    "precision": "works",
    "profiler": "works",
    "reload_dataloaders_every_n_epochs": (
        1,
        "a resumed run would not find its place in the data, expected 0, got 1",
    ),
    "strategy": "works",
    "sync_batchnorm": (True, "torch has it for GPUs alone, expected False, got True"),
    "use_distributed_sampler": (
        False,
        "each of several processes has its share of every batch, expected True, got False",
    ),
    "val_check_interval": "works",
}


@pytest.fixture(scope="module")
def tracking(tmp_path_factory) -> TrackingSettings:
    """One store for the runs of this module."""
    return TrackingSettings(root=tmp_path_factory.mktemp("runs") / "mlruns")


def run(tracking, max_steps: int | None = 6, max_epochs=None, **trainer) -> Run:
    record = RecordSettings(every=4, gradients_every=6, test_data=0)
    return Run(
        gaussian,
        Digits(),
        max_steps=max_steps,
        max_epochs=max_epochs,
        record=record,
        tracking=tracking,
        trainer=trainer,
    )


def trained(run: Run, observer: Observer | None = None):
    return run.fit_within(Surroundings(Console(quiet=True), StopSignals(), None, observer=observer or Brief()))


def refusal(tmp_path, **trainer) -> str:
    """The message that a run with these options is refused with; nothing is created."""
    nowhere = TrackingSettings(root=tmp_path / "mlruns")
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is returned
        run(nowhere, **trainer).fit()
    assert not nowhere.root.exists()
    return str(error.value)


def test_every_option_of_the_trainer_is_in_the_table():
    assert set(OPTIONS) == set(inspect.signature(Trainer).parameters)


@pytest.mark.parametrize("name", [name for name, what in OPTIONS.items() if what != "works"])
def test_an_option_that_a_run_cannot_keep_is_refused_by_name(tmp_path, name):
    value, message = OPTIONS[name]
    assert refusal(tmp_path, **{name: value}) == f"trainer.{name}: {message}"


RANGES = {
    "accumulate_grad_batches": [(value, "a whole number of at least 1") for value in (0, -1, 1.5)],
    "check_val_every_n_epoch": [(value, "a whole number of at least 1") for value in (0, -1)],
    "gradient_clip_val": [(value, "a positive, finite number") for value in (-1, float("nan"), float("inf"), 0)],
    "num_nodes": [(0, "a whole number of at least 1")],
    "num_sanity_val_steps": [(-5, "a whole number of at least 0, or -1 for all")],
    "log_every_n_steps": [(-1, "a whole number of at least 0")],
    "min_steps": [(-1, "a whole number of at least 1")],
    "min_epochs": [(0, "a whole number of at least 1")],
    "limit_val_batches": [(value, "a share of at most 1.0, or a whole number") for value in (1.5, -1, -0.5)],
    "limit_train_batches": [(1.5, "a share of at most 1.0, or a whole number")],
    "limit_test_batches": [(-2, "a share of at most 1.0, or a whole number")],
    "val_check_interval": [(value, "a share of an epoch up to 1.0, or a whole number of batches") for value in (0, -3)],
    "max_time": [(value, "a time above 0") for value in ("00:00:00:00", {"seconds": 0}, timedelta(0))],
    "profiler": [("xla", "simple, advanced, pytorch or a Profiler")],
}


@pytest.mark.parametrize(
    ("name", "value", "expected"), [(name, *case) for name, cases in RANGES.items() for case in cases]
)
def test_a_value_without_a_meaning_is_refused(tmp_path, name, value, expected):
    assert refusal(tmp_path, **{name: value}) == f"trainer.{name}: expected {expected}, got {value}"


OF_THE_DATA = [
    ({"limit_train_batches": 0.01}, "limit_train_batches: there are 13 batches, expected at least 0.077, got 0.01"),
    ({"limit_val_batches": 0.5}, "limit_val_batches: there are 1 batches, expected at least 1, got 0.5"),
    ({"limit_test_batches": 0.3}, "limit_test_batches: there are 1 batches, expected at least 1, got 0.3"),
    ({"val_check_interval": 0.05}, "val_check_interval: there are 13 batches, expected at least 0.077, got 0.05"),
    ({"val_check_interval": 14}, "val_check_interval: an epoch has 13 batches, expected at most that many, got 14"),
    (
        {"val_check_interval": 7, "limit_train_batches": 0.5},
        "val_check_interval: an epoch has 6 batches, expected at most that many, got 7",
    ),
    (
        {"gradient_clip_algorithm": "value"},
        "gradient_clip_algorithm: expected gradient_clip_val beside it, got value alone",
    ),
]


@pytest.mark.parametrize(("options", "message"), OF_THE_DATA)
def test_a_limit_that_leaves_no_batch_of_these_data_is_refused(tmp_path, options, message):
    assert refusal(tmp_path, **options) == f"trainer.{message}"


METRICS = "val/bound_10, val/elbo, val/kl, val/reconstruction"


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (EarlyStopping(monitor="val/elbow"), f"expected one of {METRICS}, got val/elbow; did you mean val/elbo?"),
        (EarlyStopping(monitor="train/elbo"), f"expected one of {METRICS}, got train/elbo; did you mean val/elbo?"),
    ],
)
def test_a_callback_that_waits_for_no_metric_is_refused(tmp_path, callback, message):
    told = refusal(tmp_path, callbacks=[callback])
    assert told == f"trainer.callbacks: EarlyStopping: monitor: {message}"


def test_a_monitor_without_a_validation_is_refused(tmp_path):
    told = refusal(tmp_path, callbacks=[EarlyStopping(monitor="val/elbo")], limit_val_batches=0)
    assert told == "trainer.callbacks: EarlyStopping: monitor: expected a validation that gives val/elbo, got none"


# ---------------------------------------------------------------------------------------------------------- what works


class Watch(Callback):
    """What a run does, batch by batch."""

    def __init__(self):
        self.batches: list[torch.Tensor] = []
        self.gradients: list[float] = []
        self.seen: dict[str, object] = {}
        self.validated: list[int] = []
        self.sane = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(batch.clone())
        self.seen["anomaly"] = torch.is_anomaly_enabled()
        self.seen["deterministic"] = torch.are_deterministic_algorithms_enabled()
        self.seen["benchmark"] = torch.backends.cudnn.benchmark

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        norms = [parameter.grad.norm() for parameter in pl_module.parameters() if parameter.grad is not None]
        self.gradients.append(float(torch.stack(norms).norm()))

    def on_validation_batch_end(self, trainer, pl_module, *_):
        if trainer.sanity_checking:
            self.sane += 1

    def on_test_batch_end(self, *_):
        self.seen["inference"] = torch.is_inference_mode_enabled()

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.validated.append(trainer.global_step)


def test_epochs_steps_and_batches_are_those_asked_for(tracking):
    watch = Watch()
    result = trained(
        run(tracking, None, 3, limit_train_batches=4, check_val_every_n_epoch=2, callbacks=[watch], num_nodes=1)
    )
    assert (result.num_steps, len(watch.batches), watch.validated) == (12, 12, [8])


def test_validation_comes_at_its_interval_and_never_without_batches(tracking):
    watch = Watch()
    options = {"val_check_interval": 4, "check_val_every_n_epoch": None}
    trained(run(tracking, 14, callbacks=[watch], **options))
    assert watch.validated == [4, 8, 12]
    result = trained(run(tracking, limit_val_batches=0))
    assert not [name for name in result.metrics if name.startswith("val/")]


def test_gradients_of_several_batches_make_a_step(tracking):
    watch = Watch()
    result = trained(run(tracking, 3, accumulate_grad_batches=np.int64(2), callbacks=[watch]))
    assert (result.num_steps, len(watch.batches)) == (3, 6)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped(tracking, algorithm):
    norms: list[float] = []

    class Clipped(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            gradients = torch.cat([p.grad.reshape(-1) for p in pl_module.parameters()])
            norms.append(float(gradients.norm() if algorithm == "norm" else gradients.abs().max()))

    options = {"gradient_clip_val": 1e-3, "gradient_clip_algorithm": algorithm}
    trained(run(tracking, 3, callbacks=[Clipped()], **options))
    assert norms == pytest.approx([1e-3] * 3, rel=1e-3)


def test_a_time_ends_a_run_and_least_steps_keep_it_going(tracking):
    assert 0 < trained(run(tracking, None, max_time=timedelta(seconds=0.2))).num_steps < 5_000
    stop = EarlyStopping(monitor="val/elbo", mode="max", patience=1, stopping_threshold=-1e9)
    assert trained(run(tracking, 30, callbacks=[stop], val_check_interval=2)).num_steps == 2
    stop = EarlyStopping(monitor="val/elbo", mode="max", patience=1, stopping_threshold=-1e9)
    assert trained(run(tracking, 30, callbacks=[stop], val_check_interval=2, min_steps=15)).num_steps == 15
    stop = EarlyStopping(monitor="val/elbo", mode="max", patience=1, stopping_threshold=-1e9)
    assert trained(run(tracking, 40, callbacks=[stop], val_check_interval=2, min_epochs=2)).num_steps == 26


def test_a_run_may_end_before_the_metric_that_a_callback_waits_for(tracking):
    stop = EarlyStopping(monitor="val/elbo", mode="max")
    assert trained(run(tracking, 6, callbacks=[stop])).num_steps == 6


def test_flags_hold_in_training_and_a_measurement_works_under_all_of_them(tracking, caplog, capsys):
    """Per-datum gradients come out of vmap, which has no rules for anomaly detection."""
    watch = Watch()
    options = {"detect_anomaly": True, "deterministic": True, "benchmark": True, "profiler": "simple"}
    with caplog.at_level(logging.WARNING):
        result = run(tracking, callbacks=[watch], num_sanity_val_steps=1, **options).fit()
    flags = {"anomaly": True, "deterministic": True, "benchmark": True, "inference": True}
    assert watch.seen == flags
    assert watch.sane == 1
    assert list(result.history("val/elbo")["step"]) == [0, 6], "the check before training is not recorded"
    assert list(result.history("latent/val/active_units")["step"]) == [0, 6]
    assert result.metrics["grad/encoder/variance"] > 0.0
    assert {"grad/encoder/data_variance"} <= set(result.metrics)
    assert not torch.is_anomaly_enabled()
    assert not [record for record in caplog.records if "nomaly" in record.message]
    assert "Error detected" not in capsys.readouterr().err
    profile = Path(result.artifacts.removeprefix("file://")) / "profile.txt"
    assert "Total time (s)" in profile.read_text()


def test_a_logger_of_the_trainer_is_refused_by_its_class(tmp_path):
    told = refusal(tmp_path, logger=[CSVLogger(tmp_path)])
    assert told.startswith("trainer.logger: a run is recorded in MLflow, and its option `loggers` names others")
    assert told.endswith("expected none, got CSVLogger")


@pytest.mark.parametrize("shown", [True, False])
def test_a_summary_of_the_model_is_printed_and_progress_can_be_hidden(tracking, capsys, shown):
    console = Console(file=io.StringIO())
    surroundings = Surroundings(console, StopSignals(), None, observer=Brief())
    run(tracking, 1, enable_model_summary=True, enable_progress_bar=shown).fit_within(surroundings)
    assert "posterior" in capsys.readouterr().out
    assert ("step 1 of 1" in console.file.getvalue()) == shown


def test_a_limit_holds_in_the_test(tracking):
    class Tested(Observer):
        in_full = False

    watch: list[int] = []

    class Count(Callback):
        def on_test_batch_end(self, *_):
            watch.append(1)

    inference = Watch()
    options = {"limit_test_batches": 1, "inference_mode": False, "callbacks": [Count(), inference]}
    trained(run(tracking, 1, **options), Tested())
    assert watch == [1]
    assert inference.seen["inference"] is False


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": "bf16-mixed"}, "bf16-mixed"),
        ({"precision": "32-true"}, "32-true"),
    ],
)
def test_device_and_precision_are_those_asked_for(tracking, options, seen):
    found: list[str] = []

    class See(Callback):
        def on_train_start(self, trainer, pl_module):
            found.append(trainer.precision)

    trained(run(tracking, 1, callbacks=[See()], **options))
    assert found == [seen]
