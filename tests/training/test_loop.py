"""The loop over batches, against Lightning's own: bitwise the same numbers, the same hooks and counters."""

import copy

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from tests.training.small import discrete, gaussian, seeded, trainer
from torch.optim.lr_scheduler import ExponentialLR

from reparam_suite.data import Digits
from reparam_suite.distributions import FactorizedCategorical
from reparam_suite.estimators import ExponentialDecay, GumbelSoftmax, Learned, ScoreFunction
from reparam_suite.models import CosineSchedule, GaussianVAE, OptimizerSettings, StepSchedule
from reparam_suite.objectives import ELBO
from reparam_suite.training import Checkpoints, GradientRecord, Journal, StepRecord, Validation, shorten_loop
from reparam_suite.training.loop import BatchLoop

HOOKS = [
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_validation_start",
    "on_validation_end",
    "on_train_epoch_end",
    "on_train_end",
]


class Heard(Callback):
    """Keeps which hook was called, at which step, and where the loops' counters stood."""

    def __init__(self):
        self.calls = []

    def state_dict(self):
        return {}


def _heard(name):
    def hook(self, trainer, model, *args):
        numbers = [argument.detach().clone() for argument in args if isinstance(argument, torch.Tensor)]
        outputs = [argument["loss"].clone() for argument in args if isinstance(argument, dict)]
        counters = copy.deepcopy(trainer.fit_loop.state_dict())
        self.calls.append((name, trainer.global_step, model._current_fx_name, counters, [*numbers, *outputs]))

    return hook


for _name in HOOKS:
    setattr(Heard, _name, _heard(_name))


class WithOwnSchedulers(GaussianVAE):
    """One scheduler that is stepped after every other step, and one at the end of each epoch."""

    def configure_optimizers(self):
        optimizer = self.made_optimizer()
        by_step = {"scheduler": ExponentialLR(optimizer, 0.9), "interval": "step", "frequency": 2}
        return [optimizer], [by_step, {"scheduler": ExponentialLR(optimizer, 0.5), "interval": "epoch"}]


def with_own_schedulers():
    model = gaussian()
    model.__class__ = WithOwnSchedulers
    return model


MODELS = {
    "gaussian": lambda: gaussian(objective=ELBO(warmup_steps=7)),
    "learned baseline": lambda: discrete(
        prior="learned",
        estimator=ScoreFunction(num_samples=2, baseline=Learned(hidden_sizes=(4,))),
        optimizer={"prior": OptimizerSettings(name="SGD", schedule=StepSchedule(every=3))},
    ),
    "temperature and rate on a schedule": lambda: discrete(
        posterior=FactorizedCategorical(num_classes=3),
        estimator=GumbelSoftmax(temperature=ExponentialDecay(num_steps=9)),
        optimizer=OptimizerSettings(schedule=CosineSchedule(num_steps=9, warmup_steps=2)),
    ),
    "schedulers of its own": with_own_schedulers,
}


def run(make, *callbacks, short, max_steps=13, **options):
    """The model after training, what was recorded of it, and the generator's next number."""
    model, journal = make(), Journal()
    record = StepRecord(every=4, journal=journal, checkpoints=Checkpoints())
    recorders = [
        record,
        Validation(journal=journal, record=record, checkpoints=Checkpoints()),
        GradientRecord(every=6, journal=journal, record=record),
    ]
    used = trainer(*recorders, *callbacks, max_steps=max_steps, **options)
    if short:
        shorten_loop(used)
    with seeded():
        used.fit(model, datamodule=Digits(batch_size=300))
        after = torch.rand(())
    return used, model, journal, after


def assert_same(make, *, callbacks=list, **options):
    (one, model, journal, noise), (other, expected, written, its_noise) = (
        run(make, *callbacks(), short=short, **options) for short in (True, False)
    )
    assert isinstance(one.fit_loop.epoch_loop, BatchLoop)
    assert not isinstance(other.fit_loop.epoch_loop, BatchLoop)
    assert one.global_step == other.global_step > 0
    for (name, value), same in zip(model.state_dict().items(), expected.state_dict().values(), strict=True):
        assert torch.equal(value, same), name
    states, same_states = (used.optimizers[0].state_dict() for used in (one, other))
    assert str(states) == str(same_states)
    assert one.fit_loop.state_dict() == other.fit_loop.state_dict()
    assert torch.equal(noise, its_noise)
    timed = ("time/", "memory/", "cost/")
    curves, same_curves = (
        {
            name: curve
            for name, curve in recorded.curves.items()
            if not (name.startswith(timed) or name.endswith("work_normalized_variance"))
        }
        for recorded in (journal, written)
    )
    assert curves == same_curves
    return one, other


@pytest.fixture
def counted(monkeypatch):
    """How many batches went through Lightning's own road."""
    taken = []
    original = _TrainingEpochLoop.advance
    monkeypatch.setattr(
        _TrainingEpochLoop, "advance", lambda self, fetcher: taken.append(type(self)) or original(self, fetcher)
    )
    return taken


@pytest.mark.parametrize("name", MODELS)
def test_a_run_is_that_of_lightnings_loop(name, counted):
    assert_same(MODELS[name])
    assert BatchLoop not in counted, "it went the short way"


@pytest.mark.parametrize(
    "options",
    [
        {"val_check_interval": 2},
        {"val_check_interval": 7, "check_val_every_n_epoch": None},
        {"val_check_interval": 0.5},
        {"check_val_every_n_epoch": 2},
        {"limit_val_batches": 0},
        {"limit_train_batches": 3},
        {"max_steps": -1, "max_epochs": 2},
        {"max_steps": 1},
        {"max_steps": 5},
        {"min_epochs": 2, "max_steps": 20},
        {"gradient_clip_val": 0.5},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"overfit_batches": 2},
    ],
    ids=str,
)
def test_the_trainers_options_mean_the_same(options, counted):
    assert_same(MODELS["gaussian"], **options)
    assert BatchLoop not in counted


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate_grad_batches": 2},
        {"profiler": "simple"},
        {"precision": "bf16-mixed"},
        {"val_check_interval": "00:00:00:01"},
    ],
    ids=str,
)
def test_what_it_does_not_know_goes_lightnings_way(options, counted):
    if options == {"val_check_interval": "00:00:00:01"}:
        used, *_ = run(MODELS["gaussian"], short=True, **options)
        assert used.global_step == 13
    else:
        assert_same(MODELS["gaussian"], **options)
    assert BatchLoop in counted


def test_every_hook_is_called_as_lightning_calls_it():
    one, other = assert_same(MODELS["gaussian"], callbacks=lambda: [Heard()], val_check_interval=2)
    calls, expected = (
        next(callback for callback in used.callbacks if isinstance(callback, Heard)).calls for used in (one, other)
    )
    assert [call[:4] for call in calls] == [call[:4] for call in expected]
    for (name, *_, numbers), (*_, same) in zip(calls, expected, strict=True):
        assert all(map(torch.equal, numbers, same)), name
    assert {call[0] for call in calls} == set(HOOKS)


def test_weights_are_averaged_at_every_step():
    def averaging():
        return [EMAWeightAveraging(decay=0.9, use_buffers=False)]

    one, other = assert_same(MODELS["gaussian"], callbacks=averaging)
    for used in (one, other):
        assert (
            next(
                callback for callback in used.callbacks if isinstance(callback, EMAWeightAveraging)
            )._latest_update_step
            == 13
        )


class Mirrored(Digits):
    """The suite's own data with a hook of a user's."""

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch.flip(-1)


def test_a_hook_of_data_derived_from_the_suites_own_is_called(counted):
    assert Digits().batches_are_on_device
    assert not Mirrored().batches_are_on_device
    weights = []
    for data in (Mirrored, Digits):
        model, used = MODELS["gaussian"](), trainer(max_steps=3)
        shorten_loop(used)
        with seeded():
            used.fit(model, datamodule=data(batch_size=300))
        weights.append(model.posterior.network[0].weight)
    assert not torch.equal(*weights)
    assert BatchLoop in counted, "the first of them goes Lightning's way"


class Registers(Callback):
    """Asks the optimizer, before the first step, to be told of every one."""

    def __init__(self):
        self.told = []

    def on_train_start(self, trainer, pl_module):
        (optimizer,) = trainer.optimizers
        optimizer.register_step_pre_hook(lambda *_: self.told.append("before"))
        optimizer.register_step_post_hook(lambda *_: self.told.append("after"))


def test_who_asks_the_optimizer_is_reported_of_every_step():
    one, _ = assert_same(MODELS["gaussian"], callbacks=lambda: [Registers()])
    assert (
        next(callback for callback in one.callbacks if isinstance(callback, Registers)).told == ["before", "after"] * 13
    )


class Halves(Callback):
    """Puts another step in the place of the optimizer's, as schedulers do."""

    def on_train_start(self, trainer, pl_module):
        (optimizer,) = trainer.optimizers
        original = optimizer.step

        def step(closure=None):
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
            return original(closure)

        optimizer.step = step


def test_a_step_that_was_put_in_the_optimizers_place_is_taken():
    one, _ = assert_same(MODELS["gaussian"], callbacks=lambda: [Halves()])
    assert one.optimizers[0].param_groups[0]["lr"] == 1e-3 * 0.5**13


class LogsEachStep(Callback):
    """Logs through Lightning, and keeps what came of it."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
        model.log("loss_seen", outputs["loss"])
        self.seen.append(dict(trainer.callback_metrics).get("loss_seen"))


def test_what_a_callback_logs_arrives():
    one, other = assert_same(MODELS["gaussian"], callbacks=lambda: [LogsEachStep()])
    seen, expected = (next(e for e in used.callbacks if isinstance(e, LogsEachStep)).seen for used in (one, other))
    assert seen == expected
    assert len({float(value) for value in seen[1:]}) == 12


class StopAt(Callback):
    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step == 3


@pytest.mark.parametrize("stop", [StopAt, lambda: EarlyStopping("val/elbo", patience=1, mode="min")])
def test_a_callback_stops_it_at_once(stop):
    one, _ = assert_same(MODELS["gaussian"], callbacks=lambda: [stop()], max_steps=100)
    assert one.global_step in (3, 10)


@pytest.mark.parametrize("stopped_at", [3, 5, 8])
def test_a_resumed_run_continues_as_an_uninterrupted_one(stopped_at, tmp_path):
    """From a checkpoint in mid-epoch, and at an epoch's end."""
    whole = MODELS["gaussian"]()
    used = trainer(max_steps=13)
    shorten_loop(used)
    with seeded():
        used.fit(whole, datamodule=Digits(batch_size=300))
    counters = []
    for short in (True, False):
        first, data = MODELS["gaussian"](), Digits(batch_size=300)
        used = trainer(max_steps=stopped_at)
        if short:
            shorten_loop(used)
        with seeded():
            used.fit(first, datamodule=data)
            used.save_checkpoint(tmp_path / "stopped.ckpt")
            random = torch.get_rng_state()
            resumed, used = MODELS["gaussian"](), trainer(max_steps=13)
            if short:
                shorten_loop(used)

            class Restore(Callback):
                def on_train_start(self, *_, state=random):
                    torch.set_rng_state(state)

            used.callbacks.append(Restore())
            used.fit(resumed, datamodule=Digits(batch_size=300), ckpt_path=tmp_path / "stopped.ckpt", weights_only=True)
        counters.append(used.fit_loop.state_dict())
        for (name, value), same in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
            assert torch.equal(value, same), name
        assert used.global_step == 13
    assert counters[0] == counters[1]
