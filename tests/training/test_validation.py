"""Validation: before the first step and after the last, its best, and what it leaves alone."""

import pytest
import torch
from lightning.pytorch import Callback
from tests.training.own_models import LowerHalf, WithValidation, run, steps
from tests.training.small import fit

from reparam_suite.data import Digits
from reparam_suite.training import UnknownMonitorError


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
