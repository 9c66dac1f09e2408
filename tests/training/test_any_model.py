"""Models that are none of ours: what is recorded of a user's LightningModule, and that nothing else is asked of it."""

import math

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loops.optimization.automatic import Closure
from tests.training.small import fit, seeded, trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reparam_suite.data import Digits
from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import DisARM, Expectation
from reparam_suite.models import EstimatorModule
from reparam_suite.training import (
    Checkpoints,
    EndpointRecord,
    GradientRecord,
    Journal,
    LatentRecord,
    PathRecord,
    StepRecord,
    UnknownMonitorError,
    Validation,
    shorten_loop,
)


class LowerHalf(EstimatorModule):
    """Predicts the lower half of a digit from the upper, through stochastic bits; no VAE."""

    def __init__(self):
        super().__init__(estimator=DisARM(num_samples=4))
        self.hidden = nn.Sequential(nn.Linear(32, 10), nn.ReLU(), nn.Linear(10, 5))
        self.output = nn.Linear(5, 32)

    def log_likelihood(self, lower, z):
        logits = self.output(z)
        return -F.binary_cross_entropy_with_logits(logits, lower.expand_as(logits), reduction="none").sum(-1)

    def expectation(self, batch):
        upper, lower = batch.chunk(2, dim=-1)
        return Expectation(q=bernoulli(self.hidden(upper)), f=lambda z, q: self.log_likelihood(lower, z), context=upper)

    def validation_step(self, batch, batch_idx):
        upper, lower = batch.chunk(2, dim=-1)
        z = bernoulli(self.hidden(upper)).sample((5,))
        self.log("val/log_likelihood", (self.log_likelihood(lower, z).logsumexp(0) - math.log(5)).mean())


class Plain(LightningModule):
    """Regression: no estimator, no objective, a training metric of its own."""

    def __init__(self, returns="tensor"):
        super().__init__()
        self.network = nn.Linear(64, 1)
        self.returns = returns

    def training_step(self, batch, batch_idx):
        loss = (self.network(batch) - batch.mean(-1, keepdim=True)).square().mean()
        self.log("train/rmse", loss.sqrt())
        if self.returns == "none" and batch_idx == 3:
            return None
        return {"loss": loss, "extra": "word"} if self.returns == "dict" else loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class WithValidation(Plain):
    def validation_step(self, batch, batch_idx):
        self.log("val/loss", (self.network(batch) - batch.mean(-1, keepdim=True)).square().mean())


class OnValidation(Callback):
    """A callback of a user's own."""

    def __init__(self):
        self.steps = []

    def on_validation_end(self, used, _):
        self.steps.append(used.global_step)


def callbacks(journal, checkpoints):
    record = StepRecord(every=3, journal=journal, checkpoints=checkpoints)
    return [
        record,
        Validation(journal=journal, record=record, checkpoints=checkpoints),
        LatentRecord(journal=journal, record=record),
        GradientRecord(every=3, journal=journal, record=record),
        EndpointRecord(journal=journal, record=record),
        PathRecord(every=3, journal=journal),
        checkpoints,
    ]


def run(model, *more, monitor=None, short=True, directory=None, **options):
    journal, checkpoints = Journal(), Checkpoints(monitor=monitor)
    checkpoints.directory = directory
    used = trainer(*callbacks(journal, checkpoints), *more, **{"max_steps": 7, "log_every_n_steps": 1} | options)
    if short:
        shorten_loop(used)
    with seeded():
        used.fit(model, datamodule=Digits(batch_size=300))
    return used, journal


def steps(journal, name):
    return [step for step, _ in journal.curves[name]]


def test_a_model_that_is_no_vae_is_recorded_and_measured_by_its_child_modules():
    torch.manual_seed(0)
    other = OnValidation()
    _, journal = run(LowerHalf(), other)
    assert steps(journal, "train/objective") == [1, 3, 6, 7]
    assert steps(journal, "val/log_likelihood") == [0, 5, 7], "before the first step, after the epoch, after the last"
    for part in ("hidden", "output"):
        assert steps(journal, f"grad/{part}/variance") == [1, 3, 6, 7]
        assert journal.latest(f"grad/{part}/variance") > 0.0
    assert "grad/control/variance" not in journal.curves
    assert steps(journal, "grad/hidden/squared_bias") == [1, 7], "its five bits can be enumerated"
    assert not any(name.startswith(("latent/", "train/kl", "train/reconstruction")) for name in journal.curves)
    assert other.steps == [5], "a user's callbacks see the validations that the trainer's options ask for"


@pytest.mark.parametrize("returns", ["tensor", "dict"])
@pytest.mark.parametrize("short", [True, False])
def test_a_plain_module_has_its_loss_recorded_and_what_it_logs_once(returns, short):
    torch.manual_seed(0)
    _, journal = run(WithValidation(returns), short=short)
    assert {name.partition("/")[0] for name in journal.curves} == {"train", "time", "memory", "val"}
    assert steps(journal, "train/loss") == [1, 3, 6, 7]
    assert steps(journal, "train/rmse") == [1, 2, 3, 4, 5, 6, 7]
    assert steps(journal, "val/loss") == [0, 5, 7]
    squared = [value**2 for _, value in journal.curves["train/rmse"]]
    expected = [squared[0], sum(squared[1:3]) / 2, sum(squared[3:6]) / 3, squared[6]]
    assert [value for _, value in journal.curves["train/loss"]] == pytest.approx(expected, rel=1e-4)


NO_VALIDATION = pytest.mark.filterwarnings("ignore:.*Skipping val loop")


@NO_VALIDATION
def test_gradients_accumulated_over_batches_leave_the_loss_that_of_a_batch():
    torch.manual_seed(0)
    _, single = run(Plain(), max_steps=1)
    torch.manual_seed(0)
    _, accumulated = run(Plain(), max_steps=1, accumulate_grad_batches=2)
    assert accumulated.latest("train/loss") == pytest.approx(single.latest("train/loss"), rel=0.2)


@NO_VALIDATION
def test_a_step_may_be_skipped_like_lightnings():
    weights = []
    for short in (True, False):
        Closure.warning_cache.clear()
        torch.manual_seed(0)
        model = Plain("none")
        with pytest.warns(UserWarning, match="`training_step` returned `None`"):
            used, journal = run(model, short=short)
        assert used.global_step == 7
        assert steps(journal, "train/loss") == [1, 3, 6, 7]
        weights.append(model.network.weight.detach())
    assert torch.equal(*weights)


@NO_VALIDATION
@pytest.mark.filterwarnings("ignore:.*(does not have many workers|smaller than the logging interval)")
def test_a_loader_without_any_of_our_answers_does():
    class Foreign(LightningDataModule):
        def train_dataloader(self):
            return DataLoader(TensorDataset(torch.rand(30, 64).round()), batch_size=10)

    class First(LowerHalf):
        def expectation(self, batch):
            return super().expectation(batch[0])

    torch.manual_seed(0)
    journal, checkpoints = Journal(), Checkpoints()
    fit(First(), Foreign(), *callbacks(journal, checkpoints), max_steps=4)
    assert steps(journal, "train/objective") == [1, 3, 4]
    assert "val/log_likelihood" not in journal.curves, "there are no data to validate on"
    assert journal.latest("time/samples_per_second") > 0.0


def test_the_smallest_is_the_best_where_the_monitor_has_a_minus(tmp_path):
    torch.manual_seed(0)
    _, journal = run(WithValidation(), monitor="-val/loss", directory=tmp_path, val_check_interval=2)
    curve = journal.curves["val/loss"][1:]
    best_step, best = min(curve, key=lambda point: point[1])
    assert journal.latest("val/loss_best") == best
    assert journal.latest("val/loss_best_step") == best_step
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] == best_step


def test_without_a_monitor_no_weights_are_the_best(tmp_path):
    _, journal = run(WithValidation(), directory=tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["last.ckpt", "previous.ckpt"]
    assert not any("_best" in name for name in journal.curves)


def test_a_monitor_that_validation_does_not_give_is_refused_before_the_first_step():
    model = WithValidation()
    before = model.network.weight.detach().clone()
    with pytest.raises(UnknownMonitorError, match=r"expected one of val/loss, got -?val/lost; did you mean val/loss\?"):
        run(model, monitor="-val/lost")
    assert torch.equal(model.network.weight, before)


def test_a_sanity_check_is_not_recorded():
    torch.manual_seed(0)
    _, journal = run(LowerHalf(), num_sanity_val_steps=2)
    assert steps(journal, "val/log_likelihood") == [0, 5, 7]


def test_own_validations_move_no_generator():
    """The model draws from the global generator in validation: with or without the first validation the same noise."""
    drawn = []

    class Draw(Callback):
        def on_train_batch_start(self, *_):
            drawn.append(torch.rand(()).item())

    run(LowerHalf(), Draw(), max_steps=3)
    with_validation = drawn.copy()
    drawn.clear()
    fit(LowerHalf(), Digits(batch_size=300), Draw(), max_steps=3)
    assert len(drawn) == 3
    assert drawn == with_validation


def test_a_model_with_batch_norm_trains_and_a_line_says_why_its_gradient_is_not_measured(caplog):
    class Normed(LowerHalf):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(32, 10), nn.BatchNorm1d(10), nn.Linear(10, 5))

    torch.manual_seed(0)
    used, journal = run(Normed())
    assert used.global_step == 7
    assert "grad/hidden/variance" not in journal.curves
    (line,) = [message for message in caplog.messages if "the variance of the gradient is not recorded" in message]
    assert "batch norm" in line.lower()
