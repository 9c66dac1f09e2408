"""One training step: the loss that is minimised, and what is left for whoever records it."""

import pytest
import torch
from tests.models.small import bits, categorical, discrete, gaussian, seeded

from reparam_suite.estimators import (
    Enumeration,
    GumbelSoftmax,
    Learned,
    LeaveOneOut,
    LogMeanExp,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.objectives import evidence
from reparam_suite.distributions import FullCovarianceNormal, kl_divergence

X = bits(6, 12)

MODELS = {
    "pathwise": lambda: gaussian(estimator=Pathwise(num_samples=2)),
    "full covariance": lambda: gaussian(posterior=FullCovarianceNormal(), estimator=StickTheLanding()),
    "importance-weighted": lambda: gaussian(estimator=StickTheLanding(num_samples=3), bound=LogMeanExp()),
    "leave one out": lambda: discrete(prior="learned"),
    "learned baseline": lambda: discrete(estimator=ScoreFunction(num_samples=2, baseline=Learned(hidden_sizes=(4,)))),
    "categorical": lambda: categorical(estimator=GumbelSoftmax()),
    "VIMCO": lambda: categorical(estimator=ScoreFunction(num_samples=3, baseline=LeaveOneOut()), bound=LogMeanExp()),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_estimators(name):
    """Ascent of the objective and descent of the control loss, from the same noise."""
    model, other = MODELS[name](), MODELS[name]()
    with seeded(5):
        loss = model.training_step(X, 0)
    loss.backward()
    with seeded(5):
        estimate = other.estimator(evidence(other, X, other.bound, other.kl))
    (-estimate.objective.mean()).backward(retain_graph=True)
    for group in ("encoder", "decoder", "prior"):
        for one, same in zip(
            model.parameter_groups().get(group, []), other.parameter_groups().get(group, []), strict=True
        ):
            assert torch.equal(one.grad, same.grad), group
            assert one.grad.any(), group
    if name == "learned baseline":
        assert not any(each.grad is not None and each.grad.any() for each in other.estimator.parameters())
        estimate.control_loss.backward()
        for one, same in zip(model.estimator.parameters(), other.estimator.parameters(), strict=True):
            assert torch.equal(one.grad, same.grad)
            assert one.grad.any()
    assert loss.item() == pytest.approx(-estimate.objective.mean().item(), rel=1e-6), "the control loss has value zero"


def test_the_gradient_is_the_exact_one_where_the_estimator_is():
    """The loss of enumeration, against the states summed by hand."""
    model = discrete(estimator=Enumeration()).double()
    x = X.double()
    model.training_step(x, 0).backward()
    other = discrete(estimator=Enumeration()).double()
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3).unsqueeze(1).expand(-1, 6, -1)
    q = other.posterior_of(x)
    log_q = q.log_prob(states)
    f = other.log_likelihood(x, states) + other.prior_distribution().log_prob(states) - log_q
    elbo = (log_q.exp() * f).sum(0).mean()
    (-elbo).backward()
    assert model.reached.objective.item() == pytest.approx(elbo.item(), rel=1e-12)
    for one, same in zip(model.encoder.parameters(), other.encoder.parameters(), strict=True):
        assert torch.allclose(one.grad, same.grad, atol=1e-12)
    for one, same in zip(model.decoder.parameters(), other.decoder.parameters(), strict=True):
        assert torch.allclose(one.grad, same.grad, atol=1e-12)


# ----------------------------------------------------------------------------------------------------- weight of the KL


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, [1.0, 1.0, 1.0, 1.0, 1.0]),
        ({"kl_weight": 0.25}, [0.25] * 5),
        ({"kl_warmup_steps": 4}, [0.0, 0.25, 0.5, 1.0, 1.0]),
        ({"kl_warmup_steps": 4, "kl_weight": 2.0}, [0.0, 0.5, 1.0, 2.0, 2.0]),
    ],
)
def test_the_weight_rises_from_0_over_the_warm_up(options, weights, monkeypatch):
    model = gaussian(**options)
    for step, weight in zip((0, 1, 2, 4, 9), weights, strict=True):
        monkeypatch.setattr(type(model), "global_step", step)
        assert model.current_kl_weight() == weight


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("step", [0, 3, 10])
def test_the_weight_is_that_of_the_objective(kl, step, monkeypatch):
    weight = min(step / 4, 1.0) * 0.8
    model = gaussian(kl=kl, kl_weight=0.8, kl_warmup_steps=4)
    monkeypatch.setattr(type(model), "global_step", step)
    with seeded(1):
        loss = model.training_step(X, 0)
    with seeded(1):
        q = model.posterior_of(X)
        z = q.rsample((1,))
    p = model.prior_distribution()
    divergence = kl_divergence(q, p) if kl == "analytic" else (q.log_prob(z) - p.log_prob(z))[0]
    expected = (model.log_likelihood(X, z)[0] - weight * divergence).mean()
    assert loss.item() == pytest.approx(-expected.item(), rel=1e-5)
    assert model.reached.kl_weight == pytest.approx(weight)


# -------------------------------------------------------------------------------------------------- left for the record


@pytest.mark.parametrize("make", [MODELS["pathwise"], MODELS["full covariance"], MODELS["leave one out"]])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_kl_is_left_in_closed_form_however_it_enters(make, weight):
    model = make()
    model.kl_weight = weight
    model.training_step(X, 0)
    exact = kl_divergence(model.posterior_of(X), model.prior_distribution()).mean()
    assert model.reached.kl.item() == pytest.approx(exact.item(), rel=1e-5)
    assert not model.reached.kl.requires_grad
    assert not model.reached.objective.requires_grad


def test_an_importance_weighted_bound_has_no_parts():
    model = MODELS["importance-weighted"]()
    model.training_step(X, 0)
    assert model.reached.kl is None
    assert model.reached.objective is not None


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (gaussian(), "elbo"),
        (categorical(estimator=GumbelSoftmax()), "relaxed_elbo"),
        (gaussian(bound=LogMeanExp(), estimator=Pathwise(num_samples=5)), "bound_5"),
    ],
)
def test_the_objective_has_the_name_of_what_it_is(model, name):
    assert model.objective_name == name
