"""When checkpoints are written, what they are called, and what a full disk does to them."""

import errno
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.strategies import SingleDeviceStrategy
from tests.training.small import fit, gaussian, validated

from reparam_suite.data import Digits
from reparam_suite.training import (
    CheckpointFiles,
    Checkpoints,
    CheckpointSettings,
    Journal,
    StepRecord,
    Validation,
)
from reparam_suite.training import checkpoints as checkpoints_module


class FakeTrainer(SimpleNamespace):
    """Writes its step into a file; may find the disk full."""

    is_global_zero = True
    fails = False
    strategy = SingleDeviceStrategy(torch.device("cpu"))

    def save_checkpoint(self, path, *, weights_only):
        assert not weights_only
        if self.fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"step {self.global_step}")


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(monitor="val/elbo")
    made.directory = tmp_path / "run"
    return made


def read(checkpoints) -> dict[str, str]:
    return {path.name: path.read_text() for path in checkpoints.directory.glob("*")}


def test_the_best_is_the_highest_so_far(checkpoints):
    for step, value in enumerate([-9.0, -5.0, -7.0, -5.0, float("nan"), -6.0], start=1):
        checkpoints.consider(FakeTrainer(global_step=step), value)
    assert read(checkpoints) == {"best.ckpt": "step 2"}
    checkpoints.consider(FakeTrainer(global_step=7), -4.0)
    assert read(checkpoints) == {"best.ckpt": "step 7"}


def test_infinite_values_are_never_the_best(checkpoints):
    for step, value in enumerate([float("inf"), -9.0, float("nan"), float("inf"), -8.0], start=1):
        checkpoints.consider(FakeTrainer(global_step=step), value)
    assert read(checkpoints) == {"best.ckpt": "step 5"}
    assert checkpoints.best == -8.0


def test_with_a_minus_the_smallest_is_the_best(checkpoints):
    checkpoints.monitor = "-val/loss"
    assert checkpoints.monitored == "val/loss"
    kept = [
        checkpoints.consider(FakeTrainer(global_step=step), value)
        for step, value in enumerate([9.0, 5.0, 7.0, float("nan"), float("-inf"), 4.0], start=1)
    ]
    assert kept == [True, True, False, False, False, True]
    assert checkpoints.best == 4.0
    resumed = Checkpoints(monitor="-val/loss")
    resumed.directory = checkpoints.directory
    with torch.random.fork_rng():
        resumed.load_state_dict(checkpoints.state_dict())
    assert not resumed.consider(FakeTrainer(global_step=7), 4.5)
    assert resumed.consider(FakeTrainer(global_step=8), 3.5)


def test_the_best_of_another_metric_is_no_mark(checkpoints):
    checkpoints.consider(FakeTrainer(global_step=1), -5.0)
    resumed = Checkpoints(monitor="val/other")
    resumed.directory = checkpoints.directory
    with torch.random.fork_rng():
        resumed.load_state_dict(checkpoints.state_dict())
    assert resumed.consider(FakeTrainer(global_step=2), -6.0)


def test_what_stands_before_the_first_step_is_no_checkpoint(checkpoints):
    checkpoints.consider(FakeTrainer(global_step=0), 100.0)
    assert not checkpoints.directory.exists()
    checkpoints.consider(FakeTrainer(global_step=1), -9.0)
    assert read(checkpoints) == {"best.ckpt": "step 1"}, "nor does it set the mark"


def test_a_restored_mark_is_not_lowered(checkpoints):
    checkpoints.consider(FakeTrainer(global_step=1), -5.0)
    resumed = Checkpoints(monitor="val/elbo")
    resumed.directory = checkpoints.directory
    with torch.random.fork_rng():
        resumed.load_state_dict(checkpoints.state_dict())
    resumed.consider(FakeTrainer(global_step=2), -6.0)
    assert read(resumed) == {"best.ckpt": "step 1"}


def test_the_last_two_are_kept_until_the_end(checkpoints):
    for step in (1, 2, 2, 3):
        checkpoints.on_train_epoch_end(FakeTrainer(global_step=step), None)
    assert read(checkpoints) == {"previous.ckpt": "step 2", "last.ckpt": "step 3"}
    assert checkpoints.newest() == checkpoints.directory / "last.ckpt"
    checkpoints.keep_best_and_last()
    assert read(checkpoints) == {"last.ckpt": "step 3"}


def test_the_one_before_is_kept_where_there_is_no_last(checkpoints):
    for step in (1, 2):
        checkpoints.write(FakeTrainer(global_step=step))
    (checkpoints.directory / "last.ckpt").unlink()
    checkpoints.keep_best_and_last()
    assert read(checkpoints) == {"previous.ckpt": "step 1"}


def test_a_full_disk_leaves_the_last_good_ones_and_does_not_stop_training(checkpoints, caplog):
    for step in (1, 2):
        checkpoints.write(FakeTrainer(global_step=step))
    checkpoints.consider(FakeTrainer(global_step=2), -5.0)
    before = read(checkpoints)
    checkpoints.write(FakeTrainer(global_step=3, fails=True))
    checkpoints.consider(FakeTrainer(global_step=3, fails=True), -4.0)
    assert read(checkpoints) == before
    assert caplog.messages[0] == (
        "no checkpoint of step 3 could be written (No space left on device); "
        f"the last one is {checkpoints.newest()}; training continues"
    )
    checkpoints.write(FakeTrainer(global_step=3))
    checkpoints.consider(FakeTrainer(global_step=4), -4.5)
    assert read(checkpoints) == {"best.ckpt": "step 4", "last.ckpt": "step 3", "previous.ckpt": "step 2"}, (
        "what failed is written when there is room, and a best value that was not kept is no mark"
    )


def test_the_newest_is_the_one_written_last(checkpoints):
    assert checkpoints.newest() is None
    checkpoints.on_train_epoch_end(FakeTrainer(global_step=1), None)
    checkpoints.consider(FakeTrainer(global_step=2), -5.0)
    assert checkpoints.newest().name == "best.ckpt"
    checkpoints.on_train_epoch_end(FakeTrainer(global_step=3), None)
    assert checkpoints.newest().name == "last.ckpt"


def test_without_a_directory_nothing_is_written():
    nowhere = Checkpoints()
    nowhere.on_train_epoch_end(FakeTrainer(global_step=1), None)
    assert nowhere.newest() is None


def test_one_is_due_by_steps_or_by_minutes(checkpoints, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(checkpoints_module, "time", clock)
    now = 1_000.0
    checkpoints.write(FakeTrainer(global_step=10))
    by_steps, by_minutes = CheckpointSettings(every_steps=5), CheckpointSettings(every_minutes=2.0)
    assert [checkpoints.due(FakeTrainer(global_step=step), by_steps) for step in (10, 14, 15)] == [False, False, True]
    assert not checkpoints.due(FakeTrainer(global_step=1_000), by_minutes)
    now += 120.0
    assert checkpoints.due(FakeTrainer(global_step=11), by_minutes)
    assert not checkpoints.due(FakeTrainer(global_step=10), by_minutes), "there is nothing new to keep"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_minutes": 0.0}, "checkpoint.every_minutes: expected a positive number, got 0.0"),
        ({"every_steps": 0}, "checkpoint.every_steps: expected at least 1, got 0"),
    ],
)
def test_intervals_are_positive(options, message):
    with pytest.raises(ValueError, match=message):
        CheckpointSettings(**options)


class Spoil(Callback):
    """Moves the weights far away, late in the run."""

    def on_train_batch_end(self, trainer, model, *_):
        if trainer.global_step == 21:
            next(model.likelihood.parameters()).data.mul_(-20.0)


def test_in_a_run_the_best_is_what_validated_best_and_the_last_is_the_end(checkpoints):
    journal = Journal()
    record = StepRecord(every=100, journal=journal, checkpoints=checkpoints)
    validation = Validation(journal=journal, record=record, checkpoints=checkpoints)
    model, data = gaussian(learning_rate=0.01), Digits(batch_size=300)
    fit(model, data, record, validation, checkpoints, Spoil(), max_steps=24, val_check_interval=2)
    curve = journal.curves["val/elbo"][1:]  # what stands before the first step is no candidate
    best_step, best_value = max(curve, key=lambda point: point[1])
    assert best_step < curve[-1][0], "else nothing is tested"
    saved = {name: torch.load(checkpoints.directory / f"{name}.ckpt", weights_only=True) for name in ("best", "last")}
    assert saved["best"]["global_step"] == best_step
    assert saved["last"]["global_step"] == 24
    assert saved["last"]["callbacks"]["Checkpoints"]["best"] == best_value
    model.load_state_dict(saved["best"]["state_dict"])
    assert validated(model)["val/elbo"] == pytest.approx(best_value, rel=1e-5)


def test_a_disk_that_fills_up_in_the_middle_of_a_file_leaves_no_half_of_it(tmp_path, monkeypatch):
    """The error comes after some bytes, where a real one does: in write, flush or fsync."""
    files, path = CheckpointFiles(), tmp_path / "run" / "last.ckpt"
    files.save_checkpoint({"step": 1}, path)
    for failing in ("write", "flush", "fileno"):
        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.open", lambda self, mode, failing=failing: FullDisk(self, mode, failing))
            with pytest.raises(OSError, match="No space left"):
                files.save_checkpoint({"step": 2}, path)
        assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
        assert files.load_checkpoint(path) == {"step": 1}


class FullDisk:
    """A file whose disk is full at one of its calls."""

    def __init__(self, path, mode, failing):
        self.file, self.failing = open(path, mode), failing  # noqa: SIM115 - closed by __exit__

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def _do(self, name, *args):
        if name == self.failing:
            if name == "write":
                self.file.write(args[0][: len(args[0]) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return getattr(self.file, name)(*args)

    def write(self, content):
        return self._do("write", content)

    def flush(self):
        return self._do("flush")

    def fileno(self):
        return self._do("fileno")
