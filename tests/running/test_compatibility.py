"""Whether data fit a model: what is refused names both sides, and asking leaves the model as it was."""

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from tests.running.models import Regression, gaussian

from reparam_suite.data import Arrays, Digits
from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, Pathwise, ScoreFunction
from reparam_suite.running.compatibility import check_fit
from reparam_suite.runtime.errors import UsageError


def rows(num_columns: int = 4) -> Arrays:
    x = np.random.default_rng(0).normal(size=(60, num_columns)).astype(np.float32)
    return Arrays.of(train=x[:40], valid=x[40:], name="rows")


class Raises(Regression):
    """Whatever it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__(Pathwise())
        self.error = error

    def expectation(self, batch):
        raise self.error


class ReturnsLoss(Regression):
    def expectation(self, batch):
        return super().expectation(batch).f(torch.zeros(1, len(batch), 2), None)


class Constant(Regression):
    """Its parameters are not in its objective."""

    def q(self, batch):
        return normal(torch.zeros(len(batch), 2), torch.ones(len(batch), 2))

    def expectation(self, batch):
        return Expectation(q=self.q(batch), f=lambda z, _: z.sum(-1))


class Bare(LightningModule):
    """No EstimatorModule."""

    estimator = Pathwise()

    def expectation(self, batch):
        return batch.sum()


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (
            lambda: gaussian(),
            lambda: rows(),
            "data: expected rows of shape (64,), the event_shape of GaussianVAE, got (4,) from rows",
        ),
        (
            lambda: Raises(RuntimeError()),
            lambda: rows(),
            "model: expected one that takes the batches of rows, [40, 4] of torch.float32, got Raises: RuntimeError",
        ),
        (
            lambda: Raises(RuntimeError("one line\nand another")),
            lambda: rows(),
            "model: expected one that takes the batches of rows, [40, 4] of torch.float32, got Raises: one line",
        ),
        (lambda: Raises(ValueError()), lambda: rows(), "Raises on rows: ValueError"),
        (
            lambda: ReturnsLoss(Pathwise()),
            lambda: rows(),
            "ReturnsLoss on rows: expectation of ReturnsLoss: expected to return an Expectation, got Tensor",
        ),
        (
            lambda: Constant(ScoreFunction()),
            lambda: rows(),
            "model: expected an objective that depends on parameters that are trained, through q or f, "
            "got none in Constant.expectation",
        ),
        (
            lambda: Bare(),
            lambda: rows(),
            "model: expected an Expectation from Bare.expectation, got Tensor",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides(model, data, message):
    with pytest.raises(UsageError) as refused:
        check_fit(model(), data())
    assert str(refused.value) == message


def test_asking_leaves_mode_and_generator_as_they_were():
    model = gaussian().train()
    model.likelihood.eval()
    before = torch.get_rng_state()
    check_fit(model, Digits())
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert not model.likelihood.training
