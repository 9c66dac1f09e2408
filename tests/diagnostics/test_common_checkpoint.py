"""Many estimators on one checkpoint, which is left as it was."""

import dataclasses
import math
import re

import pytest
import torch
from tests.statistics import LIMIT

from reparam_suite.diagnostics import (
    NUM_ROUNDS,
    gradient_bias,
    gradient_statistics,
    incompatibility,
    measure,
    ranked,
    reference_gradients,
)
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

SIZES = {"event_shape": (6,), "latent_size": 3, "hidden_sizes": (5,)}


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
    for row in measure(model, [x], estimators, references=[reference_gradients(model, x)]):
        assert model.estimator is own
        rows.append(row)
    assert [row.name for row in rows] == list(estimators)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    alone = gradient_statistics(model, x, 400)["encoder"]
    error = (alone.standard_error.square() + rows[0].statistics["encoder"].standard_error.square()).sqrt()
    assert (rows[0].statistics["encoder"].variance - alone.variance).abs() < LIMIT * error
    for row in rows:
        figures = row.figures()
        # An angle is not known where noise hides the length of a gradient; a bias is a number or below a resolution.
        numbers = {name: value for name, value in figures.items() if name != "estimator" and "cosine" not in name}
        assert all(math.isfinite(value) for name, value in numbers.items() if "/relative_bias" not in name)
        for name in [name for name in numbers if name.endswith("/relative_bias")]:
            assert math.isnan(numbers[name]) != math.isnan(numbers[f"{name}_below"])
        assert figures["evaluations"] == row.cost.evaluations
        assert {"encoder/variance", "decoder/snr", "logits/relative_bias", "encoder/cosine"} <= set(figures)
        assert float(row.work_normalized("encoder")) == pytest.approx(
            figures["encoder/variance"] * row.cost.milliseconds
        )
    assert [row.unbiased for row in rows] == [True, True, False, True]
    in_order = [float(row.work_normalized("logits")) for row in ranked(rows, "logits")]
    assert in_order == sorted(in_order)


def test_several_minibatches_are_averaged_and_their_noise_is_independent():
    torch.manual_seed(0)
    model, batches = DiscreteVAE(**SIZES), torch.rand(3, 8, 6).round().unbind()
    batches = [*batches, batches[0]]
    references = [reference_gradients(model, x) for x in batches]
    estimators = {"StraightThrough": StraightThrough()}
    done = []
    (row,) = measure(model, batches, estimators, references=references, num_repeats=40, after_batch=done.append)
    assert done == ["StraightThrough"] * 4
    alone = []
    for x, reference in zip(batches, references, strict=True):
        torch.rand(1)  # a measurement starts from the random state that it finds
        alone += measure(model, [x], estimators, references=[reference], num_repeats=40)
    for group, together in row.statistics.items():
        variances = torch.stack([own.statistics[group].variance for own in alone])
        error_alone = torch.stack([own.statistics[group].standard_error for own in alone]).square().sum().sqrt() / 4
        error = (together.standard_error.square() + error_alone.square()).sqrt()
        assert (together.variance - variances.mean()).abs() < LIMIT * error
        assert together.standard_error == pytest.approx(float(error_alone), rel=0.3)
        bias, biases = row.bias[group], [own.bias[group] for own in alone]
        squares = torch.stack([own.squared_bias for own in biases])
        error_alone = torch.stack([own.squared_bias_error for own in biases]).square().sum().sqrt() / 4
        error = (bias.squared_bias_error.square() + error_alone.square()).sqrt()
        assert (bias.squared_bias - squares.mean()).abs() < LIMIT * error
        lengths = torch.stack([own.reference_squared_norm for own in biases])
        torch.testing.assert_close(bias.reference_squared_norm, lengths.mean())
    # The first minibatch and the last are the same, and their noise is not.
    once, twice = (next(measure(model, batches[:1] * n, estimators)).statistics["encoder"].variance for n in (1, 2))
    assert not torch.equal(once, twice)


def test_the_bias_of_a_row_is_that_of_the_estimator_alone():
    torch.manual_seed(0)
    model, x = DiscreteVAE(**SIZES, estimator=StraightThrough()), torch.rand(8, 6).round()
    reference = reference_gradients(model, x)
    (row,) = measure(model, [x], {"own": model.estimator}, references=[reference])
    alone = gradient_bias(model, x, reference, num_rounds=NUM_ROUNDS, num_repeats=8)
    for group, bias in alone.items():
        for field in dataclasses.fields(bias):
            assert torch.equal(getattr(row.bias[group], field.name), getattr(bias, field.name)), field.name


def test_an_estimator_that_needs_a_sampled_kl_gets_one():
    torch.manual_seed(0)
    model, x = GaussianVAE(**SIZES), torch.rand(4, 6).round()
    rows = list(measure(model, [x], {"Pathwise": Pathwise(), "StickTheLanding": StickTheLanding()}))
    assert [row.closed_form for row in rows] == [True, False]
    assert rows[0].bias == {}


def test_what_does_not_fit_is_refused_by_name_and_nothing_is_left_behind():
    model, x = DiscreteVAE(**SIZES), torch.rand(4, 6).round()
    own = model.estimator
    assert incompatibility(model, x, DisARM()) is None
    assert re.fullmatch(
        "Pathwise: expected a q with reparameterized samples .*, got Bernoulli .*",
        incompatibility(model, x, Pathwise()),
    )
    with pytest.raises(ValueError, match="Pathwise: expected a q with"):
        list(measure(model, [x], {"Pathwise": Pathwise()}))
    assert model.estimator is own
    assert model.training


def test_float64_models_and_fresh_estimators_go_together():
    model = DiscreteVAE(**SIZES, estimator=ScoreFunction(num_samples=2, baseline=LeaveOneOut())).double()
    (row,) = measure(model, [torch.rand(4, 6).double().round()], {"NVIL": ScoreFunction(baseline=Learned())})
    assert row.statistics["encoder"].variance.dtype == torch.float64
