"""Models that are none of ours: what is recorded of a user's LightningModule, and that nothing else is asked of it."""

import pytest
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.loops.optimization.automatic import Closure
from tests.training.own_models import LowerHalf, OnValidation, Plain, WithValidation, callbacks, run, steps
from tests.training.small import fit
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reparam_suite.training import Checkpoints, Journal


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
