"""One training step: the loss that is minimised, and what is left for whoever records it."""

import pytest
import torch
from tests.models.small import bits, categorical, discrete, gaussian, seeded

from reparam_suite.distributions import FullCovarianceNormal, kl_divergence
from reparam_suite.estimators import (
    Enumeration,
    Expectation,
    GumbelSoftmax,
    Learned,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.objectives import ELBO, ImportanceWeighted

X = bits(6, 12)

MODELS = {
    "pathwise": lambda: gaussian(estimator=Pathwise(num_samples=2)),
    "full covariance": lambda: gaussian(posterior=FullCovarianceNormal(), estimator=StickTheLanding()),
    "importance-weighted": lambda: gaussian(estimator=StickTheLanding(num_samples=3), objective=ImportanceWeighted()),
    "leave one out": lambda: discrete(prior="learned"),
    "learned baseline": lambda: discrete(estimator=ScoreFunction(num_samples=2, baseline=Learned(hidden_sizes=(4,)))),
    "categorical": lambda: categorical(estimator=GumbelSoftmax()),
    "VIMCO": lambda: categorical(
        estimator=ScoreFunction(num_samples=3, baseline=LeaveOneOut()), objective=ImportanceWeighted()
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_estimators(name):
    """Ascent of the objective and descent of the control loss, from the same noise."""
    model, other = MODELS[name](), MODELS[name]()
    with seeded(5):
        loss = model.training_step(X, 0)["loss"]
    loss.backward()
    with seeded(5):
        estimate = other.estimator(other.expectation(X))
    (-estimate.objective.mean()).backward(retain_graph=True)
    for group in ("encoder", "decoder", "prior"):
        for one, same in zip(
            model.parameter_groups().get(group, []), other.parameter_groups().get(group, []), strict=True
        ):
            assert torch.equal(one.grad, same.grad), group
            assert one.grad.any(), group
    if name == "learned baseline":
        assert not any(
            parameter.grad is not None and parameter.grad.any() for parameter in other.estimator.parameters()
        )
        estimate.control_loss.backward()
        for one, same in zip(model.estimator.parameters(), other.estimator.parameters(), strict=True):
            assert torch.equal(one.grad, same.grad)
            assert one.grad.any()
    assert loss.item() == pytest.approx(-estimate.objective.mean().item(), rel=1e-6), "the control loss has value zero"


def test_the_gradient_is_the_exact_one_where_the_estimator_is():
    """The loss of enumeration, against the states summed by hand."""
    model = discrete(estimator=Enumeration()).double()
    x = X.double()
    outputs = model.training_step(x, 0)
    outputs["loss"].backward()
    other = discrete(estimator=Enumeration()).double()
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3).unsqueeze(1).expand(-1, 6, -1)
    q = other.posterior(x)
    log_q = q.log_prob(states)
    f = other.log_likelihood(x, states) + other.prior().log_prob(states) - log_q
    elbo = (log_q.exp() * f).sum(0).mean()
    (-elbo).backward()
    assert outputs["objective"].item() == pytest.approx(elbo.item(), rel=1e-12)
    for one, same in zip(model.posterior.network.parameters(), other.posterior.network.parameters(), strict=True):
        assert torch.allclose(one.grad, same.grad, atol=1e-12)
    for one, same in zip(model.likelihood.network.parameters(), other.likelihood.network.parameters(), strict=True):
        assert torch.allclose(one.grad, same.grad, atol=1e-12)


# ----------------------------------------------------------------------------------------------------- weight of the KL


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("step", [0, 3, 10])
def test_the_weight_is_that_of_the_steps_taken(kl, step):
    weight = min(step / 4, 1.0) * 0.8
    model = gaussian(objective=ELBO(kl=kl, weight=0.8, warmup_steps=4))
    model.set_extra_state(torch.tensor(step))
    with seeded(1):
        loss = model.training_step(X, 0)["loss"]
    with seeded(1):
        q = model.posterior(X)
        z = q.rsample((1,))
    p = model.prior()
    divergence = kl_divergence(q, p) if kl == "analytic" else (q.log_prob(z) - p.log_prob(z))[0]
    expected = (model.log_likelihood(X, z)[0] - weight * divergence).mean()
    assert loss.item() == pytest.approx(-expected.item(), rel=1e-5)


def test_a_loaded_model_has_taken_the_steps_of_the_saved_one():
    model, other = gaussian(), gaussian(seed=1)
    model.set_extra_state(torch.tensor(17))
    other.load_state_dict(model.state_dict())
    assert other.steps_taken == 17


# --------------------------------------------------------------------------------------------------------- an objective


class CapacityWithFreeBits:
    """An objective of a user's own: weight 4, and at least 0.1 nats for each latent."""

    def __call__(self, model, x, step):
        q, p = model.posterior(x), model.prior()
        by_latent = torch.distributions.kl_divergence(q.base_dist, p.base_dist)
        return Expectation(
            q=q, f=lambda z, _: model.log_likelihood(x, z), exact=-4.0 * by_latent.clamp_min(0.1).sum(-1)
        )


def test_an_objective_of_ones_own_is_what_is_trained():
    """The gradient, against the same objective of the suite and, by 40,000 draws, that of another estimator."""
    own = gaussian(objective=CapacityWithFreeBits())
    ours = gaussian(objective=ELBO(weight=4.0, free_bits=0.1))
    plain = gaussian()
    gradients = {}
    for name, model in {"own": own, "ours": ours, "plain": plain}.items():
        with seeded(2):
            model.training_step(X, 0)["loss"].backward()
        gradients[name] = torch.cat([p.grad.flatten() for p in model.posterior.parameters()])
    assert torch.allclose(gradients["own"], gradients["ours"], atol=1e-6)
    assert not torch.allclose(gradients["own"], gradients["plain"], atol=1e-2)
    assert own.objective_name == ours.objective_name == "objective"
    assert own.monitor is None


# ------------------------------------------------------------------------------------------------------- for the record


@pytest.mark.parametrize("make", [gaussian, discrete])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kl", ["auto", "sampled"])
def test_the_kl_on_record_is_unweighted_and_in_closed_form_however_it_enters(make, weight, kl):
    model = make(objective=ELBO(kl=kl, weight=weight))
    outputs = model.training_step(X, 0)
    exact = kl_divergence(model.posterior(X), model.prior()).mean()
    assert outputs["kl"].item() == pytest.approx(exact.item(), rel=1e-5)
    assert not outputs["kl"].requires_grad
    assert not outputs["objective"].requires_grad


def test_an_importance_weighted_bound_has_a_kl_on_record_too():
    model = MODELS["importance-weighted"]()
    exact = kl_divergence(model.posterior(X), model.prior()).mean()
    assert model.training_step(X, 0)["kl"].item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "name", "monitor"),
    [
        (gaussian(), "elbo", "val/elbo"),
        (gaussian(objective=ELBO(weight=0.5)), "objective", None),
        (gaussian(objective=ELBO(free_bits=0.1)), "objective", None),
        (gaussian(objective=ELBO(warmup_steps=5)), "objective", "val/elbo"),
        (categorical(estimator=GumbelSoftmax()), "relaxed_elbo", "val/elbo"),
        (gaussian(objective=ImportanceWeighted(), estimator=Pathwise(num_samples=5)), "bound_5", "val/elbo"),
    ],
)
def test_the_objective_has_the_name_of_what_it_is(model, name, monitor):
    assert model.objective_name == name
    assert model.monitor == monitor


def test_after_its_warm_up_the_objective_is_the_elbo():
    model = gaussian(objective=ELBO(warmup_steps=5))
    model.set_extra_state(torch.tensor(5))
    assert model.objective_name == "elbo"
