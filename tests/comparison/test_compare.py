"""`compare_gradients` on models small enough for exact answers, on a model that is no VAE, and on bad input."""

import copy

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from tests.comparison.small import COLUMNS, RLOO, RLOO_NAME, SIZES
from torch import nn

from reparam_suite.comparison import compare_gradients, comparisons
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import (
    REBAR,
    DisARM,
    Expectation,
    Learned,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StraightThrough,
)
from reparam_suite.models import DiscreteVAE


def parameters_and_buffers(model):
    return {name: value.clone() for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}


class Bits(LightningModule):
    """No EstimatorModule: an expectation and an estimator are all that it has; its batch is a pair."""

    def __init__(self, estimator):
        super().__init__()
        self.hidden, self.output, self.estimator = nn.Linear(6, 3), nn.Linear(3, 1), estimator

    def expectation(self, batch):
        x, target = batch
        return Expectation(q=bernoulli(self.hidden(x)), f=lambda z, _: -(self.output(z).squeeze(-1) - target).square())


# ------------------------------------------------------------------------------------------------------------ numbers


def test_three_bits_are_held_against_the_exact_gradient(x):
    comparison = compare_gradients(DiscreteVAE(**SIZES), x, [DisARM(), RLOO, StraightThrough()], num_repeats=256)
    frame = comparison.frame
    assert comparison.reference == "Enumeration()"
    assert list(frame.index) == ["DisARM()", RLOO_NAME, "StraightThrough()"]
    assert list(frame.columns) == COLUMNS
    row = next(row for row in comparison.rows if row.name == "DisARM()").bias["encoder"]
    assert abs(float(row.cosine) - 1.0) < 5.5 * float(row.cosine_error)
    biased = comparison.rows[2].bias["encoder"]
    assert float(biased.squared_bias) > 5.5 * float(biased.squared_bias_error)


def test_a_row_is_the_measurement_of_its_estimator_alone(x):
    model = DiscreteVAE(**SIZES)
    row = compare_gradients(model, x, [RLOO], num_repeats=512).frame.loc[lambda frame: frame.index[0]]
    model.estimator = copy.deepcopy(RLOO)
    alone = next(iter(gradient_statistics(model, x, 512).values()))
    error = (row["standard_error"] ** 2 + float(alone.standard_error) ** 2) ** 0.5
    assert abs(row["variance"] - float(alone.variance)) < 5.5 * error
    assert row["snr"] == pytest.approx(row["squared_norm"] / row["variance"])
    assert row["evaluations"] == 4
    assert row["ms"] > 0.0


def test_numbers_of_a_row_do_not_depend_on_the_other_rows(x):
    model = DiscreteVAE(**SIZES)
    timeless = COLUMNS[:-1]
    both = compare_gradients(model, x, [StraightThrough(), DisARM()]).frame
    alone = compare_gradients(model, x, [DisARM()]).frame
    assert both.loc["DisARM()", timeless].equals(alone.loc["DisARM()", timeless])


def test_several_minibatches_come_a_row_at_a_time(x):
    model, done = DiscreteVAE(**SIZES), []
    steps = list(comparisons(model, [x, 1.0 - x], [DisARM(), RLOO], after_batch=done.append))
    assert [[row.name for row in step.rows] for step in steps] == [
        [],
        ["DisARM()"],
        ["DisARM()", RLOO_NAME],
    ]
    assert [name.partition("(")[0] for name in done] == ["reference"] * 2 + ["DisARM"] * 2 + ["ScoreFunction"] * 2
    first, second = (
        compare_gradients(model, batch, [DisARM()], num_repeats=512).frame.iloc[0] for batch in (x, 1.0 - x)
    )
    both = list(comparisons(model, [x, 1.0 - x], [DisARM()], num_repeats=512))[-1].frame.iloc[0]
    error = (both["standard_error"] ** 2 + (first["standard_error"] ** 2 + second["standard_error"] ** 2) / 4.0) ** 0.5
    assert abs(both["variance"] - (first["variance"] + second["variance"]) / 2.0) < 5.5 * error


def test_a_model_that_is_no_vae_is_measured_in_its_first_part(x):
    comparison = compare_gradients(Bits(DisARM()), (x, x.sum(-1)), [DisARM(), Pathwise()])
    assert comparison.parts == ("hidden", "output")
    assert comparison.frame["variance"]["DisARM()"] > 0.0
    assert comparison.left_out["Pathwise()"].startswith("Pathwise")


# ------------------------------------------------------------------------------------------- what is left as it was


def test_model_estimators_and_generators_are_untouched(x):
    model = DiscreteVAE(**SIZES, estimator=ScoreFunction(baseline=Learned())).train()
    own, given = model.estimator, ScoreFunction(baseline=Learned())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = parameters_and_buffers(model)
    # beartype, which is on in tests, draws from Python's own generator.
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    compare_gradients(model, x, [own, given, REBAR()])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert model.estimator is own
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in parameters_and_buffers(model).items())
    assert all((parameter.grad == 1.0).all() for parameter in model.parameters())
    assert any(isinstance(parameter, nn.UninitializedParameter) for parameter in given.parameters())


def test_what_an_estimator_learns_is_trained_on_the_frozen_model_first(x):
    model = DiscreteVAE(**SIZES)
    before = parameters_and_buffers(model)
    constant = ScoreFunction(baseline=MovingAverage())
    given = [constant, DisARM()]
    comparison = compare_gradients(model, x, given, train_on=[x] * 200, num_repeats=256)
    frame, (name, _) = comparison.frame, comparison.frame.index
    assert comparison.learned_parts == {name: "trained here", "DisARM()": "none"}
    # A score function without a baseline to speak of; then with one near the mean of f.
    assert frame["variance"][name] < 0.5 * frame["untrained"][name]
    untrained = compare_gradients(model, x, given, num_repeats=256).frame
    assert untrained["variance"][name] == frame["untrained"][name]
    assert untrained["variance"]["DisARM()"] == frame["variance"]["DisARM()"]
    assert list(untrained.columns) == COLUMNS
    assert np.isnan(frame["untrained"]["DisARM()"])
    cost = comparison.training[name]
    assert (cost.steps, cost.evaluations) == (200, 200)
    assert frame["training_ms"][name] == cost.milliseconds > 0.0
    assert all(torch.equal(before[key], value) for key, value in parameters_and_buffers(model).items())
    assert all(
        torch.equal(value, again)
        for value, again in zip(constant.buffers(), ScoreFunction(baseline=MovingAverage()).buffers(), strict=True)
    )


def test_a_network_is_trained_by_its_own_loss(x):
    model = DiscreteVAE(**SIZES)
    comparison = compare_gradients(model, x, [ScoreFunction(baseline=Learned())], train_on=[x] * 300)
    assert comparison.frame["variance"].iloc[0] < 0.8 * comparison.frame["untrained"].iloc[0]


def test_the_bias_of_an_unbiased_estimator_is_what_the_measurement_resolves(x):
    comparison = compare_gradients(DiscreteVAE(**SIZES), x, [DisARM(), StraightThrough()], num_repeats=256)
    unbiased, biased = (row.figures() for row in comparison.rows)
    assert np.isnan(unbiased["encoder/relative_bias"])
    assert 0.0 < unbiased["encoder/relative_bias_below"] < 1.0
    assert biased["encoder/relative_bias"] > 0.0
    assert np.isnan(biased["encoder/relative_bias_below"])
    assert unbiased["encoder/variance_times_evaluations"] == 2 * unbiased["encoder/variance"]
