"""What configure_optimizers may return."""

from types import SimpleNamespace

import pytest
import torch
from tests.running.models import gaussian
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from reparam_suite.running.own_optimizers import check_own_optimizer
from reparam_suite.runtime.errors import UsageError

TRAINER = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))


def returning(make):
    model = gaussian()
    model.configure_optimizers = lambda: make(SGD(model.parameters(), 0.1))
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda sgd: sgd,
        lambda sgd: [sgd],
        lambda sgd: (sgd, sgd),
        lambda sgd: ([sgd], [StepLR(sgd, 1)]),
        lambda sgd: ([sgd], []),
        lambda sgd: {"optimizer": sgd, "lr_scheduler": StepLR(sgd, 1)},
        lambda sgd: ({"optimizer": sgd}, {"optimizer": sgd}),
        lambda _: None,
        lambda _: 1 / 0,
    ],
)
def test_what_lightning_takes_is_taken(make):
    check_own_optimizer(returning(make), TRAINER)


@pytest.mark.parametrize("value", ["adam", [], [None], {"lr": 1}, [["adam"], []], 3])
def test_anything_else_is_refused_with_the_model_and_the_value(value):
    with pytest.raises(UsageError) as refused:
        check_own_optimizer(returning(lambda _: value), TRAINER)
    assert str(refused.value) == (
        "model: expected an optimizer from GaussianVAE.configure_optimizers, or those that Lightning takes with their "
        f"schedulers, got {value!r}"
    )
