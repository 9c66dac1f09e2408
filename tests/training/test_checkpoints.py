from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback
from tests.models.small import fit, gaussian

from reparam_suite.data import Digits
from reparam_suite.training import Checkpoints, Journal, StepRecord, Validation


class FakeTrainer(SimpleNamespace):
    """Writes its step into a file, in two pieces; may fail between them."""

    is_global_zero = True
    fails = False

    def save_checkpoint(self, path, *, weights_only):
        assert not weights_only
        with path.open("w") as file:
            file.write("step ")
            file.flush()
            assert not [each for each in path.parent.glob("*.ckpt") if each.read_text() == "step "]
            if self.fails:
                raise OSError("No space left on device")
            file.write(str(self.global_step))


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints()
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


def test_what_stands_before_the_first_step_is_no_checkpoint(checkpoints):
    checkpoints.consider(FakeTrainer(global_step=0), 100.0)
    assert not checkpoints.directory.exists()
    checkpoints.consider(FakeTrainer(global_step=1), -9.0)
    assert read(checkpoints) == {"best.ckpt": "step 1"}, "nor does it set the mark"


def test_a_restored_mark_is_not_lowered(checkpoints):
    checkpoints.consider(FakeTrainer(global_step=1), -5.0)
    resumed = Checkpoints()
    resumed.directory = checkpoints.directory
    resumed.load_state_dict(checkpoints.state_dict())
    resumed.consider(FakeTrainer(global_step=2), -6.0)
    assert read(resumed) == {"best.ckpt": "step 1"}


def test_a_checkpoint_has_its_name_only_when_it_is_complete(checkpoints):
    trainer = FakeTrainer(global_step=1)
    checkpoints.on_train_epoch_end(trainer, None)
    assert read(checkpoints) == {"last.ckpt": "step 1"}
    trainer.global_step, trainer.fails = 2, True
    with pytest.raises(OSError, match="No space left"):
        checkpoints.on_train_epoch_end(trainer, None)
    assert (checkpoints.directory / "last.ckpt").read_text() == "step 1"
    assert checkpoints.newest() == checkpoints.directory / "last.ckpt", "an unfinished one does not count"
    trainer.fails = False
    checkpoints.on_train_end(trainer, None)
    assert read(checkpoints) == {"last.ckpt": "step 2"}


def test_the_newest_is_the_one_written_last(checkpoints):
    assert checkpoints.newest() is None
    checkpoints.on_train_epoch_end(FakeTrainer(global_step=1), None)
    checkpoints.consider(FakeTrainer(global_step=2), -5.0)
    assert checkpoints.newest().name == "best.ckpt"
    checkpoints.on_train_epoch_end(FakeTrainer(global_step=3), None)
    assert checkpoints.newest().name == "last.ckpt"


def test_without_a_directory_nothing_is_written():
    nowhere = Checkpoints()
    nowhere.on_train_end(FakeTrainer(global_step=1), None)
    assert nowhere.newest() is None


class Spoil(Callback):
    """Moves the weights far away, late in the run."""

    def on_train_batch_end(self, trainer, model, *_):
        if trainer.global_step == 21:
            model.decoder[0].weight.data.mul_(-20.0)


def test_in_a_run_the_best_is_what_validated_best_and_the_last_is_the_end(checkpoints):
    journal = Journal()
    record = StepRecord(every=100, journal=journal, checkpoints=checkpoints)
    validation = Validation(journal=journal, record=record, checkpoints=checkpoints)
    model, data = gaussian(num_features=64, learning_rate=0.01), Digits(batch_size=300)
    fit(model, data, record, validation, checkpoints, Spoil(), max_steps=24, val_check_interval=2)
    curve = journal.curves["val/elbo"][1:]  # what stands before the first step is no candidate
    best_step, best_value = max(curve, key=lambda point: point[1])
    assert best_step < curve[-1][0], "else nothing is tested"
    saved = {name: torch.load(checkpoints.directory / f"{name}.ckpt", weights_only=True) for name in ("best", "last")}
    assert saved["best"]["global_step"] == best_step
    assert saved["last"]["global_step"] == 24
    assert saved["last"]["callbacks"]["Checkpoints"] == {"best": best_value}
    model.load_state_dict(saved["best"]["state_dict"])
    assert model.validate_on(data.val_dataloader())["val/elbo"] == pytest.approx(best_value, rel=1e-5)
