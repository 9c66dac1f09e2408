"""Runs that real signals kill at any moment, resumed: each is bitwise the run that was never stopped."""

import os
import random
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from tests.lives import Death, Life, first_name_only, half_a_file

# What a clock or the machine has a part in.
TIMED = re.compile(r"time/|memory/|cost/(ms_per_gradient|peak_mib)|grad/.*/work_normalized_variance")
FREQUENT = ["--record.every", "7", "--record.gradients_every", "100", "--checkpoint.every_steps", "20"]
FREQUENT += ["--record.test_data", "0"]
GAUSSIAN = ["--model.hidden_sizes", "[16]", *FREQUENT]
DISCRETE = [
    *("--model", "DiscreteVAE", "--model.latent_size", "6", "--model.prior", "learned", "--model.hidden_sizes", "[16]"),
    *("--model.estimator", "REBAR", "--trainer.val_check_interval", "5"),
    *("--trainer.callbacks", "EMAWeightAveraging", "--trainer.callbacks.decay", "0.9"),
    *("--trainer.callbacks.use_buffers", "false"),
    *FREQUENT,
]


class Runs:
    """One store and the runs in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root.parent

    def begin(self, *args: str, dies: Death | None = None) -> Life:
        return Life.begin(["--tracking.root", str(self.root), *args], self.directory, dies)

    def finish(self, *args: str) -> str:
        """Runs to the end, and returns the run's id."""
        life = self.begin(*args)
        assert life.end() == 0, life.told()
        return next(line for line in life.out.read_text().splitlines() if line.startswith("run ")).split()[-1]

    def ids(self) -> set[str]:
        folder = self.root / "checkpoints"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    def file(self, run_id: str, name: str = "last.ckpt") -> Path:
        return self.root / "checkpoints" / run_id / name

    def checkpoint(self, run_id: str, name: str = "last.ckpt") -> dict[str, Any]:
        return torch.load(self.file(run_id, name), weights_only=True)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.root}/mlflow.db")

    def history(self, run_id: str) -> dict[str, list[tuple[int, float]]]:
        metrics = self.client.get_run(run_id).data.metrics
        return {
            name: sorted((point.step, point.value) for point in self.client.get_metric_history(run_id, name))
            for name in metrics
        }


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("resume") / "mlruns")


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def state(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Everything that training depends on: parameters, optimizers, averages, generators, positions, progress."""
    kept = {key: value for key, value in checkpoint.items() if key not in ("callbacks", "reparam_suite")}
    callbacks = {
        name: {key: value for key, value in values.items() if key not in ("journal", "seconds", "budget")}
        for name, values in checkpoint["callbacks"].items()
    }
    return {**kept, "callbacks": callbacks}


def assert_same(runs: Runs, resumed: str, whole: str) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = state(runs.checkpoint(resumed, name)), state(runs.checkpoint(whole, name))
        for key, value in theirs.items():
            assert equal(ours[key], value), f"{name}: {key}"
    ours, theirs = runs.history(resumed), runs.history(whole)
    assert ours.keys() == theirs.keys()
    for name, curve in theirs.items():
        assert [step for step, _ in ours[name]] == [step for step, _ in curve], name
        assert max(Counter(step for step, _ in ours[name]).values()) == 1, f"{name}: a step twice"
        if not TIMED.match(name):
            assert ours[name] == curve, name
    assert runs.client.get_run(resumed).info.status == "FINISHED"


# ------------------------------------------------------------------------------------------------------------- SIGKILL


def wait_for_checkpoint(life: Life, path: Path, before: int) -> None:
    deadline = time.monotonic() + 600.0
    while time.monotonic() < deadline:
        assert life.process.is_alive(), life.told()
        if path.exists() and path.stat().st_mtime_ns > before:
            return
        time.sleep(0.01)
    raise TimeoutError


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_is_the_run_that_was_never_killed(runs):
    """Seventeen times while it trains, thrice while it starts."""
    chance, (run_id,) = random.Random(0), _started(runs)
    for number in range(19):
        path = runs.file(run_id)
        before = path.stat().st_mtime_ns
        life = runs.begin("--resume", run_id)
        if number % 7 == 0:
            time.sleep(chance.uniform(0.0, 2.0))
        else:
            wait_for_checkpoint(life, path, before)
            time.sleep(chance.uniform(0.0, 0.3))
        life.process.kill()
        assert life.end() == -signal.SIGKILL, life.told()
    steps = str(runs.checkpoint(run_id)["global_step"] + 30)
    assert runs.finish("--resume", run_id, "--trainer.max_steps", steps) == run_id
    whole = runs.finish(*GAUSSIAN, "--trainer.max_steps", steps)
    assert_same(runs, run_id, whole)


def _started(runs: Runs) -> set[str]:
    """A run without an end, killed after its first checkpoint."""
    others = runs.ids()
    life = runs.begin(*GAUSSIAN, "--trainer.max_steps", "-1")
    deadline = time.monotonic() + 600.0
    while not [run_id for run_id in runs.ids() - others if runs.file(run_id).exists()]:
        assert time.monotonic() < deadline
        assert life.process.is_alive(), life.told()
        time.sleep(0.01)
    life.process.kill()
    life.end()
    return runs.ids() - others


TRAINING = "reparam_suite.training"
DEATHS = {
    "before its first checkpoint": Death("reparam_suite.models", "GaussianVAE.training_step", 9),
    "while it writes a checkpoint": Death(f"{TRAINING}.checkpoint_files", "write_durably", 3, half_a_file),
    "between two names of a checkpoint": Death(f"{TRAINING}.checkpoints", "_give_second_name", 2, first_name_only),
    "in validation": Death("reparam_suite.models", "GaussianVAE.validation_step"),
    "at an epoch's end": Death(f"{TRAINING}.record", "StepRecord.on_train_epoch_end"),
    "after an epoch's end": Death(f"{TRAINING}.progress", "ProgressBar.on_train_batch_end", 4),
    "at the end of training": Death(f"{TRAINING}.gradients", "GradientRecord.on_train_end"),
    "while it tests": Death("reparam_suite.models", "GaussianVAE.test_step"),
    "while it draws": Death("reparam_suite.running.finishing", "figures_of"),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["GaussianVAE", "DiscreteVAE"])
def test_killed_at_each_point_in_turn_it_is_the_run_that_was_never_killed(runs, model):
    """Discrete: REBAR, a learned prior, an optimizer of three parts, and averaged weights."""
    args = [*(GAUSSIAN if model == "GaussianVAE" else DISCRETE), "--trainer.max_steps", "66"]
    others, begins = runs.ids(), args
    for where, death in DEATHS.items():
        dies = replace(death, name=death.name.replace("GaussianVAE", model))
        life = runs.begin(*begins, dies=dies)
        assert life.end() == -signal.SIGKILL, f"{where}: {life.told()}"
        (run_id,) = runs.ids() - others
        begins = ["--resume", run_id]
        assert runs.file(run_id).exists() == (where != "before its first checkpoint")
    assert runs.finish("--resume", run_id) == run_id
    assert_same(runs, run_id, runs.finish(*args))


# --------------------------------------------------------------------------------------------------- SIGTERM and Ctrl-C


@pytest.mark.slow
def test_signals_leave_what_the_run_continues_from(runs):
    """Further signals, from 10 ms after the first one to the end, and while its work is done, change nothing."""
    (run_id,) = _started(runs)
    for signum, code, message in [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]:
        before = runs.file(run_id).stat().st_mtime_ns
        again = Death("reparam_suite.tracking.run_logger", "RunLogger.close", signals=(signal.SIGTERM, signal.SIGINT))
        life = runs.begin("--resume", run_id, dies=again)
        wait_for_checkpoint(life, runs.file(run_id), before)
        while life.process.exitcode is None:
            with suppress(ProcessLookupError):
                os.kill(life.process.pid, signum)
            life.process.join(0.01)
        assert life.end() == code, life.told()
        step = runs.checkpoint(run_id)["global_step"]
        assert life.told().splitlines()[-1] == (
            f"reparam_suite.fit: {message} after step {step}; the run is recorded as KILLED. To resume it: "
            f"python -m reparam_suite.fit --resume {run_id} --tracking.root {runs.root}"
        )
        assert "Traceback" not in life.told()
        assert runs.client.get_run(run_id).info.status == "KILLED"
        # Every seventh step without a gap; the steps since are in the checkpoint.
        recorded = [step for step, _ in runs.history(run_id)["train/elbo"]]
        assert recorded == [1, *range(7, step + 1, 7)]
        assert not list((runs.root / "spool").glob(f"{run_id}*"))
    steps = str(step + 30)
    runs.finish("--resume", run_id, "--trainer.max_steps", steps)
    assert_same(runs, run_id, runs.finish(*GAUSSIAN, "--trainer.max_steps", steps))
