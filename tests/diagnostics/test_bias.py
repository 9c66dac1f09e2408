"""Bias and cosine against references that are exact or state their own error."""

import pytest
import torch
from tests.diagnostics.cases import Case, data
from tests.statistics import LIMIT

from reparam_suite.diagnostics import exact_reference, gradient_bias, reference_gradients, unbiased_reference
from reparam_suite.diagnostics.datumwise import explicit_gradients
from reparam_suite.diagnostics.measuring import estimated_by, measuring
from reparam_suite.estimators import (
    Average,
    DisARM,
    Enumeration,
    GradientEstimator,
    GumbelSoftmax,
    LeaveOneOut,
    LogMeanExp,
    Pathwise,
    Quadrature,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE

CASES = [
    Case(DisARM(), "bits"),
    Case(StraightThrough(), "bits"),
    Case(GumbelSoftmax(), "classes"),
    Case(ScoreFunction(num_samples=2, baseline=LeaveOneOut()), "bits", LogMeanExp(), name="VIMCO2"),
    Case(Pathwise(), "diagonal"),
    Case(StickTheLanding(num_samples=3), "full", LogMeanExp(), name="DReG3"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_unbiased_estimators_have_no_bias_and_biased_ones_are_seen(case: Case):
    model, x = case.model(), data()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = reference_gradients(model, x, num_repeats=2_000)
        biases = gradient_bias(model, x, reference, num_rounds=40, num_repeats=50)
    worst = 0.0
    for name, bias in biases.items():
        assert reference[name].exact == (str(case) != "DReG3-LogMeanExp-full")
        assert (bias.reference_error == 0.0) == reference[name].exact
        if bias.squared_bias_error > 1e-12:
            worst = max(worst, float(bias.squared_bias / bias.squared_bias_error))
        if case.estimator.unbiased:
            assert (1.0 - bias.cosine).abs() < LIMIT * bias.cosine_error + 1e-9, name
            assert bias.relative < 0.2, name
    assert (worst < LIMIT) == case.estimator.unbiased


def test_the_exact_bias_of_straight_through_is_reproduced():
    # Its expected gradient is a sum over states too: the average over so many draws that nothing else is left.
    model, x = Case(StraightThrough(), "bits").model(), data(3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        biases = gradient_bias(model, x, num_rounds=100, num_repeats=200)
        with measuring(model):
            # One gradient of the mean over 40,000 copies of each datum.
            objective = model.estimator(model.expectation(x.repeat(40_000, 1))).objective.mean()
            drawn = torch.autograd.grad(objective, list(model.posterior.parameters()))
        exact = reference_gradients(model, x, Enumeration())["encoder"]
    mean = torch.cat([each.flatten() for each in drawn])
    by_hand = (mean - exact.gradient).square().sum()
    assert biases["encoder"].squared_bias == pytest.approx(float(by_hand), rel=0.3)
    cosine = torch.nn.functional.cosine_similarity(mean, exact.gradient, dim=0)
    assert biases["encoder"].cosine == pytest.approx(
        float(cosine), abs=LIMIT * float(biases["encoder"].cosine_error) + 0.01
    )


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
    for name, each in exact.items():
        assert each.exact
        assert each.estimator == expected.__name__
        distance = (each.gradient - drawn[name].gradient).square().sum()
        assert distance <= 10.0 * drawn[name].variance + 1e-18, name


def test_portions_of_an_exact_reference_are_the_whole():
    model, x = Case(StraightThrough(), "bits").model(), data()
    whole, portions = (reference_gradients(model, x, memory_budget=budget) for budget in (2**30, 1))
    for name, each in whole.items():
        torch.testing.assert_close(each.gradient, portions[name].gradient)


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
    assert not torch.allclose(reference, torch.cat([each.mean((0, 1)).flatten() for each in same_seed]))


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
    with pytest.raises(ValueError, match="num_rounds: expected at least 3"):
        gradient_bias(large, data().float(), num_rounds=2)
