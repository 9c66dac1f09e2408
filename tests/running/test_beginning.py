"""The moment at which a run is on record: nothing of one that cannot resume is written."""

import pytest
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor
from tests.running.models import gaussian
from tests.running.resuming import SHORT, Brief, Stopped, fit

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.tracking import TrackingSettings


class Broken(EarlyStopping):
    def load_state_dict(self, state_dict):
        raise KeyError("wait_count")


def test_a_state_that_cannot_be_loaded_changes_nothing(tmp_path):
    """Found out by Lightning alone, in the middle of its own loading."""
    first = EarlyStopping(monitor="val/elbo", mode="max", patience=50)
    first.__class__ = type("Broken", (EarlyStopping,), {"__module__": __name__, "__qualname__": "Broken"})
    stopped = Stopped.after(Run(gaussian, Digits(), trainer={"callbacks": [first]}, **SHORT), tmp_path)
    before = stopped.state()
    broken = {"callbacks": [Broken(monitor="val/elbo", mode="max", patience=50)]}
    with pytest.raises(ValueError, match=r"last\.ckpt cannot be resumed under these options: 'wait_count'; the run is"):
        stopped.look(trainer=broken)
    assert stopped.state() == before


def test_a_callback_that_asks_for_a_logger_finds_one_when_a_run_resumes(tmp_path):
    trainer = {"callbacks": [LearningRateMonitor(logging_interval="step")], "log_every_n_steps": 1}
    run = Run(gaussian, Digits(), trainer=trainer, **SHORT)
    stopped = Stopped.after(run, tmp_path)
    store = TrackingSettings(root=stopped.root)
    resumed = Run.resume(stopped.run_id, tracking=store, max_steps=9, trainer=run.trainer)
    assert fit(resumed, Brief()).metrics["lr-Adam"] == 1e-3
