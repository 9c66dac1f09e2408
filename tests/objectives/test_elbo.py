"""The evidence lower bound as an expectation, against sums over all states."""

import pytest
import torch
from tests.objectives.small import Bits, LinearGaussian, X

from reparam_suite.distributions import kl_divergence
from reparam_suite.estimators import (
    Enumeration,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.objectives import ELBO


def gradients(objective: torch.Tensor, model: Bits) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(objective.sum(), [model.encoder, model.prior_logits, model.decoder])


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_sampled_and_analytic_kl_are_one_expectation(weight):
    model = Bits()
    q, log_likelihood, log_ratio = model.exact_parts()
    expected = (q * (log_likelihood + weight * log_ratio)).sum(0)
    wanted = gradients(expected, model)
    for kl in ("sampled", "analytic", "auto"):
        target = ELBO(kl=kl, weight=weight)(model, X, 0)
        objective = Enumeration()(target).objective
        assert torch.allclose(objective, expected), kl
        for found, exact in zip(gradients(objective, model), wanted, strict=True):
            assert torch.allclose(found, exact), kl


def test_only_the_sampled_kl_is_inside_f():
    model = Bits()
    z, q = model.states(), model.posterior(X)
    sampled, analytic = (ELBO(kl=kl, weight=0.5)(model, X, 0) for kl in ("sampled", "analytic"))
    log_ratio = model.prior().log_prob(z) - q.log_prob(z)
    assert torch.allclose(analytic.f(z, q), model.log_likelihood(X, z))
    assert torch.allclose(sampled.f(z, q), model.log_likelihood(X, z) + 0.5 * log_ratio)
    assert sampled.exact is None
    assert torch.equal(analytic.exact, -0.5 * kl_divergence(q, model.prior()))


@pytest.mark.parametrize("estimator", [Pathwise(), StickTheLanding(), ScoreFunction()])
def test_auto_is_analytic_where_the_estimator_admits_it(estimator):
    model = LinearGaussian()
    model.estimator = estimator
    assert (ELBO()(model, X, 0).exact is not None) == estimator.admits_exact


def test_the_weight_rises_with_the_steps():
    objective = ELBO(weight=2.0, warmup_steps=4)
    assert [objective.weight_at(step) for step in (0, 1, 2, 4, 9)] == [0.0, 0.5, 1.0, 2.0, 2.0]
    model = Bits()
    full = ELBO(kl="analytic")(model, X, 0).exact
    assert torch.allclose(objective(model, X, 1).exact, 0.5 * full)


def test_free_bits_are_a_maximum_for_each_datum_and_latent():
    model, least = Bits(), 0.2
    p, r = model.posterior(X).mean, model.prior().mean
    by_latent = p * (p / r).log() + (1.0 - p) * ((1.0 - p) / (1.0 - r)).log()
    assert (by_latent < least).any()
    assert (by_latent > least).any()
    expected = -3.0 * torch.maximum(by_latent, torch.tensor(least)).sum(-1)
    target = ELBO(weight=3.0, free_bits=least)(model, X, 0)
    assert torch.allclose(target.exact, expected)
    assert torch.allclose(
        torch.autograd.grad(target.exact.sum(), model.encoder)[0],
        torch.autograd.grad(expected.sum(), model.encoder)[0],
    )
    assert not torch.allclose(target.exact, 3.0 * ELBO()(model, X, 0).exact)


def test_free_bits_without_a_closed_form_for_each_latent_are_refused():
    with pytest.raises(
        ValueError, match=r"free_bits: expected a closed form of KL\(q \|\| p\) for each latent, got Mult"
    ):
        ELBO(free_bits=0.1)(LinearGaussian(), X, 0)


def test_the_kl_is_known_from_the_expectation():
    model = Bits()
    target = ELBO(weight=0.5)(model, X, 0)
    assert torch.allclose(ELBO(weight=0.5).kl_of(target, 0), kl_divergence(model.posterior(X), model.prior()))
    assert not ELBO(weight=0.5).kl_of(target, 0).requires_grad
    assert ELBO(weight=0.0).kl_of(target, 0) is None
    assert ELBO(kl="sampled").kl_of(ELBO(kl="sampled")(model, X, 0), 0) is None


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        (ELBO(), "elbo"),
        (ELBO(warmup_steps=9), "elbo"),
        (ELBO(weight=0.5), "objective"),
        (ELBO(free_bits=0.1), "objective"),
    ],
)
def test_what_is_no_bound_is_not_recorded_as_one(objective, name):
    assert objective.record_as == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl": "exact"}, "kl: expected auto, analytic, sampled, got 'exact'"),
        ({"weight": -0.5}, "weight: expected a finite number of at least 0, got -0.5"),
        ({"weight": float("nan")}, "weight: expected a finite number of at least 0, got nan"),
        ({"weight": float("inf")}, "weight: expected a finite number of at least 0, got inf"),
        ({"free_bits": -1.0}, "free_bits: expected a finite number of at least 0, got -1.0"),
        ({"warmup_steps": -1}, "warmup_steps: expected an integer of at least 0, got -1"),
        ({"warmup_steps": 2.5}, "warmup_steps: expected an integer of at least 0, got 2.5"),
        ({"free_bits": 0.1, "kl": "sampled"}, "free_bits: expected 0 with a sampled KL, got 0.1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises((TypeError, ValueError)) as refused:
        ELBO(**options)
    assert str(refused.value) == message


def test_a_closed_form_that_the_estimator_does_not_admit_is_refused():
    model = LinearGaussian()
    model.estimator = StickTheLanding()
    with pytest.raises(ValueError, match=r"kl: expected a sampled KL for StickTheLanding, .* got analytic"):
        ELBO(kl="analytic")(model, X, 0)


def test_the_objective_asks_the_estimator_of_the_moment():
    model, objective = LinearGaussian(), ELBO()
    model.estimator = StickTheLanding()
    assert objective(model, X, 0).exact is None
    model.estimator = ScoreFunction(num_samples=2, baseline=LeaveOneOut())
    assert objective(model, X, 0).exact is not None
