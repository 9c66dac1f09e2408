"""Reference gradients: exact ones against many unbiased draws, and what cannot be had."""

import pytest
import torch
from tests.diagnostics.cases import Case, data

from reparam_suite.diagnostics import exact_reference, reference_gradients, unbiased_reference
from reparam_suite.diagnostics.datumwise import explicit_gradients
from reparam_suite.diagnostics.measuring import estimated_by, measuring
from reparam_suite.estimators import (
    Average,
    Enumeration,
    GradientEstimator,
    LogMeanExp,
    Pathwise,
    Quadrature,
    ScoreFunction,
    StraightThrough,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE


@pytest.mark.parametrize(
    ("posterior", "bound", "expected"),
    [("bits", Average(), Enumeration), ("classes", LogMeanExp(), Enumeration), ("full", Average(), Quadrature)],
)
def test_the_exact_reference_agrees_with_the_unbiased_one(posterior, bound, expected):
    estimator = Pathwise() if posterior == "full" else ScoreFunction()
    model, x = Case(estimator, posterior, bound).model(), data()
    assert isinstance(exact_reference(model, x), expected)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exact = reference_gradients(model, x, exact_reference(model, x))
        drawn = reference_gradients(model, x, unbiased_reference(model, x), num_repeats=4_000)
    for name, reference in exact.items():
        assert reference.exact
        assert reference.estimator == expected.__name__
        distance = (reference.gradient - drawn[name].gradient).square().sum()
        assert distance <= 10.0 * drawn[name].variance + 1e-18, name


def test_portions_of_an_exact_reference_are_the_whole():
    model, x = Case(StraightThrough(), "bits").model(), data()
    whole, portions = (reference_gradients(model, x, memory_budget=budget) for budget in (2**30, 1))
    for name, reference in whole.items():
        torch.testing.assert_close(reference.gradient, portions[name].gradient)


def test_an_estimator_of_ones_own_that_draws_nothing_makes_an_exact_reference():
    class Sum(GradientEstimator):
        """The sum over all states, under another name."""

        bounds = (Average,)
        differentiates_f = False
        unbiased = True
        noiseless = True

        def estimate(self, target):
            return Enumeration().estimate(target)

    model, x = Case(StraightThrough(), "bits").model(), data()
    own, ours = (reference_gradients(model, x, estimator) for estimator in (Sum(), Enumeration()))
    for name, reference in own.items():
        assert reference.exact
        assert torch.equal(reference.gradient, ours[name].gradient)


def test_a_reference_draws_noise_of_its_own():
    model, x = Case(Pathwise(), "diagonal").model(), data()
    reference = reference_gradients(model, x, Pathwise(), num_repeats=4)["encoder"].gradient
    with estimated_by(model, Pathwise()), measuring(model):
        same_seed = explicit_gradients(model, x, 4).by_group["encoder"]
    assert not torch.allclose(reference, torch.cat([gradient.mean((0, 1)).flatten() for gradient in same_seed]))


def test_references_that_cannot_be_had_are_refused_by_name():
    large = DiscreteVAE(event_shape=(6,), latent_size=200, hidden_sizes=(5,))
    with pytest.raises(ValueError, match=r"Enumeration: expected at most .* states, got about 10\^60"):
        exact_reference(large, data().float())
    with pytest.raises(ValueError, match=r"Enumeration: expected at most .* states, got about 10\^60"):
        reference_gradients(large, data().float(), Enumeration())
    assert isinstance(large.estimator, ScoreFunction)
    with pytest.raises(ValueError, match="Quadrature: expected at most 3 latents, got 10"):
        exact_reference(GaussianVAE(event_shape=(6,), hidden_sizes=(5,)), data().float())
    with pytest.raises(ValueError, match="estimator: expected an unbiased one for a reference, got StraightThrough"):
        reference_gradients(large, data().float(), StraightThrough())
