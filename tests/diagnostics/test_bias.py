"""Bias and cosine against references that are exact or state their own error."""

import pytest
import torch
from tests.diagnostics.cases import Case, data
from tests.statistics import LIMIT

from reparam_suite.diagnostics import gradient_bias, reference_gradients
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.estimators import (
    DisARM,
    Enumeration,
    GumbelSoftmax,
    LeaveOneOut,
    LogMeanExp,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
)

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
    mean = torch.cat([gradient.flatten() for gradient in drawn])
    by_hand = (mean - exact.gradient).square().sum()
    assert biases["encoder"].squared_bias == pytest.approx(float(by_hand), rel=0.3)
    cosine = torch.nn.functional.cosine_similarity(mean, exact.gradient, dim=0)
    assert biases["encoder"].cosine == pytest.approx(
        float(cosine), abs=LIMIT * float(biases["encoder"].cosine_error) + 0.01
    )


def test_two_rounds_are_refused_since_they_give_no_error_of_the_bias():
    with pytest.raises(ValueError, match="num_rounds: expected at least 3"):
        gradient_bias(CASES[0].model(), data(), num_rounds=2)
