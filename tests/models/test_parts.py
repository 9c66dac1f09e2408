"""Likelihoods, priors and optimizers by themselves."""

import math

import pytest
import torch
from tests.models.small import bits, discrete, seeded
from torch import nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal

from reparam_suite.estimators import Learned, ScoreFunction
from reparam_suite.models import OptimizerSettings, PartedOptimizer
from reparam_suite.models.hyperparameters import configuration
from reparam_suite.models.likelihoods import BernoulliLikelihood, NormalLikelihood
from reparam_suite.models.priors import Prior
from reparam_suite.distributions import OneHotCategorical, family

# ---------------------------------------------------------------------------------------------------------- likelihoods


def test_the_bernoulli_likelihood_is_torchs():
    raw, x = torch.randn(3, 5, 6), bits(5, 6)
    likelihood = BernoulliLikelihood()
    expected = Independent(Bernoulli(logits=raw), 1).log_prob(x.expand(3, 5, 6))
    assert torch.allclose(likelihood(raw, x), expected)
    assert torch.equal(likelihood.mean(raw), raw.sigmoid())


def test_the_bernoulli_likelihood_has_no_limit():
    raw = torch.tensor([[[500.0, -500.0]]])
    assert BernoulliLikelihood()(raw, torch.tensor([[0.0, 1.0]])).item() == -1000.0


def test_the_normal_likelihood_is_torchs_and_learns_its_scale():
    raw, x = torch.randn(3, 5, 6), torch.randn(5, 6)
    likelihood = NormalLikelihood()
    nn.init.constant_(likelihood.log_scale, 0.4)
    expected = Independent(Normal(raw, math.exp(0.4)), 1).log_prob(x)
    assert torch.allclose(likelihood(raw, x), expected, atol=1e-5)
    assert torch.equal(likelihood.mean(raw), raw)
    # The scale of highest likelihood is the root of the mean squared error.
    log_scale = (x - raw).square().mean().sqrt().log()
    nn.init.constant_(likelihood.log_scale, log_scale.item())
    likelihood(raw, x).mean().backward()
    assert likelihood.log_scale.grad.abs() < 1e-4


# --------------------------------------------------------------------------------------------------------------- priors


@pytest.mark.parametrize(
    ("of", "event_shape", "prior_family", "parameters"),
    [
        (Normal, (3,), Normal, {"loc", "log_scale"}),
        (MultivariateNormal, (3,), Normal, {"loc", "log_scale"}),
        (Bernoulli, (3,), Bernoulli, {"logits"}),
        (OneHotCategorical, (3, 4), OneHotCategorical, {"logits"}),
    ],
)
def test_a_prior_starts_standard_and_learns_if_it_may(of, event_shape, prior_family, parameters):
    fixed = Prior(family=of, event_shape=event_shape, kind="fixed")
    learned = Prior(family=of, event_shape=event_shape, kind="learned")
    p = fixed()
    assert family(p) is prior_family
    assert (p.batch_shape, p.event_shape) == ((), event_shape)
    expected = {Normal: (0.0, 1.0), Bernoulli: (0.5, 0.25), OneHotCategorical: (0.25, 0.1875)}[prior_family]
    assert torch.allclose(p.mean, torch.tensor(expected[0]))
    assert torch.allclose(p.variance, torch.tensor(expected[1]))
    assert set(learned.natural) == parameters
    assert not any(each.requires_grad for each in fixed.parameters())
    z = p.sample((8,))
    learned().log_prob(z).sum().backward()
    assert all(each.grad.any() for each in learned.parameters())


# ----------------------------------------------------------------------------------------------------------- optimizers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "Adamm"},
            "optimizer name must be one of ASGD, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Muon, NAdam, "
            "RAdam, RMSprop, Rprop, SGD, got 'Adamm'",
        ),
        (
            {"name": "SGD", "options": {"betas": (0.9, 0.99), "moment": 0.9}},
            "SGD takes the options dampening, differentiable, foreach, fused, maximize, momentum, nesterov, "
            "weight_decay, got betas, moment",
        ),
        ({"learning_rate": 0.0}, "learning_rate of Adam must be positive, got 0.0"),
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


def model_of_three_parts():
    return discrete(
        estimator=ScoreFunction(num_samples=2, baseline=Learned(hidden_sizes=(4,))),
        prior="learned",
        learning_rate=0.01,
        optimizer=OptimizerSettings(options={"betas": (0.8, 0.95)}),
        prior_optimizer=OptimizerSettings(name="SGD", learning_rate=0.5, options={"momentum": 0.9}),
    )


def test_one_part_needs_no_parts():
    assert type(discrete().configure_optimizers()) is torch.optim.Adam


def test_each_part_has_its_own_settings():
    model = model_of_three_parts()
    optimizer = model.configure_optimizers()
    assert isinstance(optimizer, PartedOptimizer)
    assert {name: type(part).__name__ for name, part in optimizer.parts.items()} == {
        "model": "Adam",
        "prior": "SGD",
        "control": "Adam",
    }
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.5, 0.01]
    assert optimizer.parts["control"].defaults["betas"] == (0.8, 0.95), "as the model's, where nothing else is said"
    (prior,) = optimizer.parts["prior"].param_groups[0]["params"]
    assert prior is model.prior_network.natural["logits"]


def step(model, optimizer, number: int) -> None:
    with seeded(number):
        optimizer.zero_grad()
        model.training_step(bits(9, 12, seed=number), number).backward()
        optimizer.step()


def test_parts_are_stepped_as_they_would_be_one_by_one():
    together, apart = model_of_three_parts(), model_of_three_parts()
    optimizer, parts = together.configure_optimizers(), apart.configure_optimizers().parts
    for number in range(4):
        step(together, optimizer, number)
        with seeded(number):
            apart.zero_grad()
            apart.training_step(bits(9, 12, seed=number), number).backward()
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


def test_a_restored_optimizer_goes_on_bitwise():
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
    before = [each.clone() for each in model.parameters()]
    step(model, optimizer, 0)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_a_state_of_other_parts_is_refused():
    optimizer = model_of_three_parts().configure_optimizers()
    state = optimizer.state_dict()
    del state["prior"]
    with pytest.raises(ValueError, match=r"has the parts \['control', 'model', 'prior'\], the saved one \['control', "):
        optimizer.load_state_dict(state)


# -------------------------------------------------------------------------------------------------------- configuration


def test_settings_are_written_without_their_class():
    assert configuration(OptimizerSettings()) == {"name": "Adam", "learning_rate": None, "options": {}}
