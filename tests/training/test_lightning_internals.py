"""Private names of Lightning: each does what `lightning_internals` takes it to do."""

import subprocess
import sys

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.loops.optimization.automatic import Closure
from tests.training.small import gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.training import lightning_internals as internals


def fitted(*callbacks, **options):
    used = trainer(*callbacks, **options)
    with seeded():
        used.fit(gaussian(), datamodule=Digits(batch_size=300))
    return used


@pytest.mark.parametrize(
    ("output", "loss", "outputs"),
    [
        (torch.tensor(2.0), 2.0, {"loss": 2.0}),
        ({"loss": torch.tensor(2.0), "more": 1}, 2.0, {"loss": 2.0, "more": 1}),
    ],
    ids=["tensor", "mapping"],
)
def test_the_loss_of_an_output_and_what_callbacks_see_of_it(output, loss, outputs):
    found, shown = internals.loss_and_outputs(output)
    assert float(found) == loss
    assert {name: float(value) for name, value in shown.items()} == outputs


def test_an_output_of_none_is_a_step_without_a_loss():
    Closure.warning_cache.clear()
    with pytest.warns(UserWarning, match="returned `None`"):
        assert internals.loss_and_outputs(None) == (None, {})


class Watch(Callback):
    """The step that Lightning would hand to loggers, in a batch and after it."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, used, *_):
        self.seen.append((internals.batches_that_stepped(used), used.global_step))

    def on_train_batch_end(self, used, *_):
        self.seen.append((internals.batches_that_stepped(used), used.global_step))

    def on_validation_end(self, used, *_):
        self.seen.append((internals.batches_that_stepped(used), used.global_step))


def test_lightnings_own_count_of_steps_is_one_behind_until_a_batch_is_over():
    watch = Watch()
    used = fitted(watch, max_steps=2, val_check_interval=2)
    assert watch.seen == [(0, 0), (0, 1), (1, 1), (1, 2), (1, 2)]
    assert internals.batches_that_stepped(used) == 2
    internals.set_batches_that_stepped(used, 5)
    assert internals.batches_that_stepped(used) == 5


class ValidateAfter(Callback):
    """A validation of its own after the third step, within the batch's last hook."""

    def __init__(self):
        self.metrics, self.before, self.after = {}, None, None

    def on_train_batch_end(self, used, model, *_):
        if used.global_step == 3:
            self.before = self.state(used, model)
            self.metrics = internals.validate_now(used, [])
            self.after = self.state(used, model)

    def state(self, used, model):
        return (
            used.fit_loop.state_dict(),
            dict(used.callback_metrics),
            used.state.stage,
            used.callbacks,
            model.training,
            torch.is_grad_enabled(),
        )


class Logger(DummyLogger):
    def __init__(self):
        super().__init__()
        self.told = []

    def log_metrics(self, metrics, step):
        self.told.append((step, set(metrics)))


@pytest.mark.parametrize("others", [[], [Watch]])
def test_a_validation_within_a_fit_leaves_the_fit_as_it_was(others):
    ends = []
    for validates in (True, False):
        own, logger = ValidateAfter(), Logger()
        used = trainer(*([own] if validates else []), *(other() for other in others), logger=logger, max_steps=7)
        model = gaussian()
        with seeded(), pytest.warns(match="is smaller than the logging interval"):
            used.fit(model, datamodule=Digits(batch_size=300))
        ends.append((model.state_dict(), used.fit_loop.state_dict(), used.callback_metrics))
        if validates:
            assert own.before == own.after
            assert set(own.metrics) == {"val/elbo", "val/bound_10", "val/reconstruction", "val/kl"}
            assert any("val/elbo" in names for step, names in logger.told if step == 2), "it is logged"
    for (name, value), other in zip(ends[0][0].items(), ends[1][0].values(), strict=True):
        assert torch.equal(value, other), name
    assert ends[0][1:] == ends[1][1:]


def test_there_is_nothing_to_run_without_validation_data():
    class Try(Callback):
        def on_train_start(self, used, _):
            self.metrics = internals.validate_now(used, [])

    tried = Try()
    fitted(tried, max_steps=1, limit_val_batches=0)
    assert tried.metrics == {}


def test_counters_are_put_between_two_batches():
    used = fitted(max_steps=7)
    used.save_checkpoint_content = used._checkpoint_connector.dump_checkpoint(weights_only=False)
    checkpoint = used.save_checkpoint_content
    internals.set_progress(checkpoint, epoch=1, num_done=2, num_steps=7, loader={"epoch": 1, "batch": 2})
    fit = checkpoint["loops"]["fit_loop"]
    assert checkpoint["epoch"] == 1
    assert fit["epoch_loop.batch_progress"]["current"] == dict(ready=2, started=2, processed=2, completed=2)  # noqa: C408
    assert fit["epoch_progress"]["current"] == dict(ready=2, started=2, processed=1, completed=1)  # noqa: C408
    assert fit["epoch_loop.state_dict"]["_batches_that_stepped"] == 7
    assert fit["state_dict"]["combined_loader"] == [{"epoch": 1, "batch": 2}]
    internals.set_progress(checkpoint, epoch=1, num_done=0, num_steps=7, loader={})
    assert "combined_loader" not in fit["state_dict"]


def test_a_script_is_started_again_as_it_was():
    program = (
        "import sys; from reparam_suite.training.lightning_internals import relaunch_command;"
        "sys.argv = ['mine.py', '--option', '1']; print(relaunch_command())"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.strip().endswith("mine.py', '--option', '1']")


def test_averaging_begins_where_it_was_told_to_at_the_rates_that_it_was_given():
    assert internals.averaging_start_and_rates(StochasticWeightAveraging(0.1)) == (0.8, 0.1)
    several = StochasticWeightAveraging([0.1, 0.2], swa_epoch_start=3)
    assert internals.averaging_start_and_rates(several) == (3, [0.1, 0.2])
