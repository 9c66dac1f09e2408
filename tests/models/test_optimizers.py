"""Optimizers by part."""

import pytest
import torch
from tests.models.small import bits, discrete, seeded
from torch import nn

from reparam_suite.estimators import Learned, ScoreFunction
from reparam_suite.models import OptimizerSettings, PartedOptimizer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "Adamm"},
            "optimizer: expected a name among ASGD, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Muon, NAdam, "
            "RAdam, RMSprop, Rprop, SGD, got 'Adamm'",
        ),
        (
            {"name": "SGD", "options": {"betas": (0.9, 0.99), "moment": 0.9}},
            "options of SGD: expected some of dampening, foreach, fused, maximize, momentum, nesterov, "
            "weight_decay, got betas, moment",
        ),
        ({"learning_rate": 0.0}, "learning_rate of Adam: expected a positive, finite number, got 0.0"),
    ],
)
def test_settings_of_no_optimizer_are_refused(options, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        OptimizerSettings(**options)
    assert str(refused.value) == message


def test_settings_make_their_optimizer():
    parameter = nn.Parameter(torch.ones(2))
    made = OptimizerSettings(name="NAdam", options={"betas": [0.5, 0.6]}).make([parameter], 0.25)
    assert type(made) is torch.optim.NAdam
    assert made.defaults["betas"] == (0.5, 0.6)
    assert made.defaults["lr"] == 0.25
    own = OptimizerSettings(name="SGD", learning_rate=0.125).make([parameter], 0.25)
    assert own.defaults["lr"] == 0.125


def test_an_optimizer_is_fused_where_it_can_be():
    parameter = nn.Parameter(torch.ones(2))
    assert OptimizerSettings().make([parameter], 0.1).defaults["fused"] is True
    assert OptimizerSettings(options={"foreach": True}).make([parameter], 0.1).defaults["fused"] is None
    assert OptimizerSettings(options={"fused": False}).make([parameter], 0.1).defaults["fused"] is False


ADAM = OptimizerSettings(options={"betas": (0.8, 0.95)})


def model_of_three_parts():
    return discrete(
        estimator=ScoreFunction(num_samples=2, baseline=Learned(hidden_sizes=(4,))),
        prior="learned",
        learning_rate=0.01,
        optimizer={
            "encoder": ADAM,
            "decoder": ADAM,
            "control": OptimizerSettings(options={"betas": (0.7, 0.9)}),
            "prior": OptimizerSettings(name="SGD", learning_rate=0.5, options={"momentum": 0.9}),
        },
    )


def test_one_part_needs_no_parts():
    assert type(discrete().configure_optimizers()) is torch.optim.Adam


def test_each_part_has_its_own_settings():
    model = model_of_three_parts()
    optimizer = model.configure_optimizers()
    assert isinstance(optimizer, PartedOptimizer)
    assert {name: type(part).__name__ for name, part in optimizer.parts.items()} == {
        "encoder, decoder": "Adam",
        "prior": "SGD",
        "control": "Adam",
    }
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.5, 0.01]
    assert optimizer.parts["encoder, decoder"].defaults["betas"] == (0.8, 0.95)
    assert optimizer.parts["control"].defaults["betas"] == (0.7, 0.9)
    (prior,) = optimizer.parts["prior"].param_groups[0]["params"]
    assert prior is model.prior.logits


def step(model, optimizer, number: int) -> None:
    with seeded(number):
        optimizer.zero_grad()
        model.training_step(bits(9, 12, seed=number), number)["loss"].backward()
        optimizer.step()


def test_parts_are_stepped_as_they_would_be_one_by_one():
    together, apart = model_of_three_parts(), model_of_three_parts()
    optimizer, parts = together.configure_optimizers(), apart.configure_optimizers().parts
    for number in range(4):
        step(together, optimizer, number)
        with seeded(number):
            apart.zero_grad()
            apart.training_step(bits(9, 12, seed=number), number)["loss"].backward()
        for part in reversed(parts.values()):
            part.step()
    for (name, one), other in zip(together.named_parameters(), apart.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_a_closure_is_evaluated_once_with_gradients():
    model = model_of_three_parts()
    optimizer = model.configure_optimizers()
    calls = []

    def closure():
        calls.append(torch.is_grad_enabled())
        return torch.tensor(3.0)

    assert optimizer.step(closure) == 3.0
    assert calls == [True]


def test_a_restored_optimizer_continues_bitwise():
    straight, stopped = model_of_three_parts(), model_of_three_parts()
    optimizer = straight.configure_optimizers()
    for number in range(6):
        step(straight, optimizer, number)

    optimizer = stopped.configure_optimizers()
    for number in range(3):
        step(stopped, optimizer, number)
    state = {"model": stopped.state_dict(), "optimizer": optimizer.state_dict()}
    resumed = model_of_three_parts()
    resumed.load_state_dict(state["model"])
    optimizer = resumed.configure_optimizers()
    optimizer.load_state_dict(state["optimizer"])
    for number in range(3, 6):
        step(resumed, optimizer, number)

    for (name, one), other in zip(straight.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_a_learning_rate_changed_in_a_group_is_the_parts():
    model = model_of_three_parts()
    optimizer = model.configure_optimizers()
    optimizer.load_state_dict(optimizer.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [parameter.clone() for parameter in model.parameters()]
    step(model, optimizer, 0)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_a_state_of_other_parts_is_refused():
    optimizer = model_of_three_parts().configure_optimizers()
    state = optimizer.state_dict()
    del state["prior"]
    with pytest.raises(
        ValueError, match=r"expected the parts \['control', 'encoder, decoder'\], as saved, got \['control', "
    ):
        optimizer.load_state_dict(state)


def test_parts_of_equal_settings_share_an_optimizer():
    settings = OptimizerSettings(name="SGD", learning_rate=0.1)
    optimizer = discrete(prior="learned", optimizer={"encoder": settings, "prior": settings}).configure_optimizers()
    assert list(optimizer.parts) == ["encoder, prior", "decoder"]


def test_settings_of_a_part_that_a_model_never_has_are_refused():
    with pytest.raises(ValueError, match="optimizer: expected parts among encoder, decoder, got hidden"):
        discrete(optimizer={"hidden": OptimizerSettings()}).configure_optimizers()
