"""Many estimators on one checkpoint, which is left as it was."""

import math
import re

import pytest
import torch

from reparam_suite.diagnostics import gradient_statistics, measure, misfit, ranked, reference_gradients
from reparam_suite.estimators import (
    DisARM,
    Learned,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE

SIZES = {"num_features": 6, "latent_size": 3, "hidden_sizes": (5,)}


def test_rows_are_what_each_estimator_gives_alone():
    torch.manual_seed(0)
    model, x = DiscreteVAE(**SIZES), torch.rand(8, 6).round()
    own, state = model.estimator, {name: value.clone() for name, value in model.state_dict().items()}
    estimators = {
        "own": own,
        "DisARM(num_samples=4)": DisARM(num_samples=4),
        "StraightThrough": StraightThrough(),
        "NVIL": ScoreFunction(baseline=Learned()),
    }
    rows = []
    for row in measure(model, x, estimators, reference=reference_gradients(model, x)):
        assert model.estimator is own
        rows.append(row)
    assert [row.name for row in rows] == list(estimators)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    alone = gradient_statistics(model, x, 16)["encoder"]
    assert torch.equal(rows[0].statistics["encoder"].variance, alone.variance)
    for row in rows:
        figures = row.figures()
        # An angle is not known where noise hides the length of a gradient.
        numbers = {name: value for name, value in figures.items() if name not in ("estimator", "kl")}
        assert all(math.isfinite(value) for name, value in numbers.items() if "cosine" not in name)
        assert figures["evaluations"] == row.cost.evaluations
        assert {"encoder/variance", "decoder/snr", "logits/relative_bias", "encoder/cosine"} <= set(figures)
        assert float(row.work_normalized("encoder")) == pytest.approx(
            figures["encoder/variance"] * row.cost.milliseconds
        )
    assert [row.unbiased for row in rows] == [True, True, False, True]
    in_order = [float(row.work_normalized("logits")) for row in ranked(rows, "logits")]
    assert in_order == sorted(in_order)


def test_an_estimator_that_needs_a_sampled_kl_gets_one():
    torch.manual_seed(0)
    model, x = GaussianVAE(**SIZES, kl="analytic"), torch.rand(4, 6).round()
    rows = list(measure(model, x, {"Pathwise": Pathwise(), "StickTheLanding": StickTheLanding()}))
    assert [row.kl for row in rows] == ["analytic", "sampled"]
    assert rows[0].bias == {}
    assert model.kl == "analytic"


def test_what_does_not_fit_is_refused_by_name_and_nothing_is_left_behind():
    model, x = DiscreteVAE(**SIZES), torch.rand(4, 6).round()
    own = model.estimator
    assert misfit(model, DisARM()) is None
    assert re.fullmatch("Pathwise needs q of Normal .*, got Bernoulli", misfit(model, Pathwise()))
    with pytest.raises(ValueError, match="Pathwise needs q of"):
        list(measure(model, x, {"Pathwise": Pathwise()}))
    assert model.estimator is own
    assert model.training


def test_float64_models_and_fresh_estimators_go_together():
    model = DiscreteVAE(**SIZES, estimator=ScoreFunction(num_samples=2, baseline=LeaveOneOut())).double()
    (row,) = measure(model, torch.rand(4, 6).double().round(), {"NVIL": ScoreFunction(baseline=Learned())})
    assert row.statistics["encoder"].variance.dtype == torch.float64
