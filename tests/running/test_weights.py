"""Files of weights that are gone: the record's copy is taken, or it is said, and no others pass for them."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from tests.running.models import Regression, gaussian
from tests.running.resuming import Brief, Stopped, fit

from reparam_suite import Run, load
from reparam_suite.comparison.checkpoint import find
from reparam_suite.data import Arrays, Digits
from reparam_suite.estimators import Pathwise
from reparam_suite.running.resuming import found_run
from reparam_suite.tracking import Store
from reparam_suite.training import CheckpointError, RecordSettings, read_checkpoint

RECORD = RecordSettings(every=4, gradients_every=50, test_data=0)
SHORT = {"max_steps": 16, "record": RECORD}


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Stopped:
    """An epoch of 13 steps, and 3 more."""
    return Stopped.after(Run(gaussian, Digits(), **SHORT), tmp_path_factory.mktemp("short"))


@pytest.fixture
def run(short, tmp_path) -> Stopped:
    return short.copy(tmp_path)


def best(run: Stopped) -> Path:
    return run.root / "checkpoints" / run.run_id / "best.ckpt"


def on_record(run: Stopped, name: str = "best.ckpt") -> Path:
    return run.root / "artifacts" / run.run_id / "artifacts" / "checkpoints" / name


def longer(run: Stopped):
    return fit(Run.resume(run.run_id, tracking=run.tracking, max_steps=26), Brief())


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if "moved or copied" not in record.getMessage()]


def test_best_weights_that_are_gone_come_from_the_artifacts(run, caplog):
    content = best(run).read_bytes()
    best(run).unlink()
    with caplog.at_level(logging.WARNING):
        run.look(lambda *_: None)
    assert best(run).read_bytes() == content
    told = f"run {run.run_id}: {best(run)} is gone; the copy among its artifacts is taken"
    assert lines(caplog) == [told]


def test_best_weights_that_are_gone_for_good_are_said_and_the_best_from_there_on_are_kept(run, caplog):
    before = dict(Store.open(run.tracking).history(run.run_id, "val/elbo"))[13]
    best(run).unlink()
    on_record(run).unlink()
    with caplog.at_level(logging.WARNING):
        result = longer(run)
    told = f"best.ckpt with val/elbo {before:.4g} is gone; the best weights from step 26 on are kept"
    assert lines(caplog) == [told]
    recorded = Store.open(run.tracking).run(run.run_id).data
    assert recorded.tags["best_weights"] == (
        f"those from step 26 on: the file of earlier ones, with val/elbo {before:.4g}, was gone"
    )
    assert (recorded.metrics["val/elbo_best_step"], read_checkpoint(best(run))["global_step"]) == (26, 26)
    kept = load(run.run_id, tracking=run.tracking).state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in result.model.state_dict().items())


def test_no_other_weights_are_tested_in_the_place_of_the_best(tmp_path):
    class Thief(Callback):
        def teardown(self, trainer, pl_module, stage):
            for file in (tmp_path / "mlruns" / "checkpoints").glob("*/best.ckpt"):
                file.unlink()

    with pytest.raises(CheckpointError, match=r"best\.ckpt is gone: val/elbo -\d.* were its weights, and no others"):
        Stopped.after(Run(gaussian, Digits(), trainer={"callbacks": [Thief()]}, **SHORT), tmp_path)


def test_no_other_weights_are_loaded_or_compared_in_the_place_of_the_best(run):
    content = best(run).read_bytes()
    best(run).unlink()
    assert load(run.run_id, tracking=run.tracking) is not None, "the artifact is the same"
    # An artifact of the end of a run that has found better weights since.
    other = read_checkpoint(on_record(run))
    other["callbacks"]["Checkpoints"]["best"] -= 1.0
    torch.save(other, on_record(run))
    last = best(run).with_name("last.ckpt")
    message = f"run {run.run_id}: best.ckpt with its best weights is gone, here and on record; {last} holds the last"
    with pytest.raises(ValueError, match=f"^load: {message}"):
        load(run.run_id, tracking=run.tracking)
    with pytest.raises(ValueError, match=message):
        find(run.run_id, run.tracking)
    best(run).write_bytes(content)
    assert find(run.run_id, run.tracking) is not None


def test_a_run_without_a_monitor_has_its_last_weights(tmp_path):
    x = torch.rand(300, 4, generator=torch.Generator().manual_seed(0))
    data = Arrays.of(train=x[:200], valid=x[200:], name="rows")
    plain = Stopped.after(Run(lambda: Regression(Pathwise()), data, max_steps=4, record=RECORD), tmp_path)
    assert not best(plain).exists()
    model = load(plain.run_id, tracking=plain.tracking, allow=["tests"])
    last = read_checkpoint(best(plain).with_name("last.ckpt"))["state_dict"]
    assert all(torch.equal(value, last[name]) for name, value in model.state_dict().items())


def test_a_last_checkpoint_that_is_gone_is_said_and_the_record_has_a_copy(run):
    folder = best(run).parent
    shutil.copy(folder / "best.ckpt", folder / "previous.ckpt")
    (folder / "last.ckpt").rename(folder.parent / "kept.ckpt")
    found = found_run(run.run_id, run.tracking, allow_changes=False)
    assert found.checkpoint == folder / "previous.ckpt"
    assert found.notes[-1] == f"{folder}/last.ckpt is gone; previous.ckpt, of step {found.step}, is taken"
    for file in folder.glob("*.ckpt"):
        file.unlink()
    shutil.copy(folder.parent / "kept.ckpt", on_record(run, "last.ckpt"))
    found = found_run(run.run_id, run.tracking, allow_changes=False)
    assert found.step == 16
    assert found.notes[-1] == (
        f"the checkpoints in {folder} are gone; the copy of last.ckpt among the run's artifacts is taken"
    )
