"""`compare_gradients` on models small enough for exact answers, on a model that is no VAE, and on bad input."""

import copy

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from matplotlib import pyplot as plt
from torch import nn

from reparam_suite.comparison import compare_gradients, comparisons
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import (
    REBAR,
    DisARM,
    Expectation,
    Learned,
    LeaveOneOut,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
    StraightThrough,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ImportanceWeighted

SIZES = {"event_shape": (6,), "latent_size": 3, "hidden_sizes": (5,)}
RLOO = ScoreFunction(num_samples=4, baseline=LeaveOneOut())
RLOO_NAME = "ScoreFunction(num_samples=4, baseline=LeaveOneOut())"
COLUMNS = ["variance", "standard_error", "squared_norm", "snr", "cosine", "evaluations", "ms"]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def x():
    return (torch.rand(20, 6) < 0.4).float()


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


def test_where_nothing_is_exact_the_mean_of_the_unbiased_ones_is_the_reference(x):
    model = GaussianVAE(event_shape=(6,), latent_size=4, hidden_sizes=(5,), estimator=Pathwise())
    comparison = compare_gradients(model, x, [Pathwise(), RLOO], num_repeats=256)
    assert comparison.reference == f"Pathwise(), {RLOO_NAME}"
    for row in comparison.rows:
        assert abs(float(row.bias["encoder"].cosine) - 1.0) < 5.5 * float(row.bias["encoder"].cosine_error)


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
    first, second = (compare_gradients(model, each, [DisARM()], num_repeats=512).frame.iloc[0] for each in (x, 1.0 - x))
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


def test_the_models_own_estimator_is_measured_with_what_it_has_learned(x):
    model = DiscreteVAE(**SIZES, estimator=REBAR())
    comparison = compare_gradients(model, x, [REBAR(), model.estimator, DisARM()])
    assert comparison.own == "REBAR() 2"
    assert comparison.learned_parts == {"REBAR()": "initial", "REBAR() 2": "trained", "DisARM()": "none"}


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
    assert all(torch.equal(before[each], value) for each, value in parameters_and_buffers(model).items())
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


def test_an_estimator_may_be_compared_on_one_model_after_another(x):
    estimator = ScoreFunction(baseline=Learned())
    compare_gradients(DiscreteVAE(**SIZES), x, [estimator])
    other = DiscreteVAE(event_shape=(4,), latent_size=2, hidden_sizes=(5,))
    assert not compare_gradients(other, x[:, :4], [estimator]).left_out


def test_an_estimator_with_the_shapes_of_another_model_is_left_out(x):
    other = DiscreteVAE(event_shape=(4,), latent_size=2, hidden_sizes=(5,), estimator=ScoreFunction(baseline=Learned()))
    left_out = compare_gradients(DiscreteVAE(**SIZES), x, [DisARM(), other.estimator]).left_out
    (reason,) = left_out.values()
    assert reason.startswith("ScoreFunction: its learned parts have the shapes of another model")


# ---------------------------------------------------------------------------------------------------------- left out


def test_a_refusal_begins_with_the_estimators_name(x):
    model = GaussianVAE(**SIZES, estimator=Pathwise())
    comparison = compare_gradients(model, x, [Pathwise(), DisARM(num_samples=4), REBAR()])
    assert list(comparison.left_out) == ["DisARM(num_samples=4)", "REBAR()"]
    assert all(reason.startswith(name.partition("(")[0]) for name, reason in comparison.left_out.items())
    assert list(comparison.frame.index) == ["Pathwise()"]


def test_another_number_of_samples_is_another_bound(x):
    model = GaussianVAE(**SIZES, objective=ImportanceWeighted(), estimator=StickTheLanding(num_samples=3))
    comparison = compare_gradients(model, x, [StickTheLanding(num_samples=3), Pathwise(num_samples=5)])
    assert comparison.left_out == {
        "Pathwise(num_samples=5)": "Pathwise: num_samples: expected 3, that of the model's bound, got 5"
    }


def test_the_frame_of_estimators_that_do_not_fit_is_empty(x):
    comparison = compare_gradients(GaussianVAE(**SIZES, estimator=Pathwise()), x, [DisARM()])
    assert comparison.frame.empty
    assert list(comparison.frame.columns) == COLUMNS
    with pytest.raises(ValueError, match=r"figure: expected a measured estimator, got none; left out: DisARM\(\)"):
        comparison.figure()


# ------------------------------------------------------------------------------------------------------------ figure


def test_the_figure_is_drawn_without_the_state_of_pyplot(x, tmp_path):
    comparison = compare_gradients(DiscreteVAE(**SIZES), x, [DisARM(), RLOO])
    comparison.figure().savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert plt.get_fignums() == []
    comparison.figure("decoder")
    with pytest.raises(ValueError, match="part: expected encoder, decoder, logits, got loc"):
        comparison.figure("loc")


# --------------------------------------------------------------------------------------------------------- bad input


def test_weights_that_are_not_finite_are_refused(x):
    model = DiscreteVAE(**SIZES)
    name, parameter = next(iter(model.named_parameters()))
    with torch.no_grad():
        parameter.view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match=f"model: expected finite weights, got NaN in {name} of DiscreteVAE"):
        compare_gradients(model, x, [DisARM()])
    with torch.no_grad():
        parameter.view(-1)[0] = torch.inf
    with pytest.raises(ValueError, match="got an infinite one"):
        compare_gradients(model, x, [DisARM()])


def test_a_model_without_trainable_parameters_is_refused(x):
    model = DiscreteVAE(**SIZES).requires_grad_(False)
    with pytest.raises(ValueError, match="model: expected trainable parameters, got none in DiscreteVAE"):
        compare_gradients(model, x, [DisARM()])


def test_a_model_without_an_expectation_is_refused(x):
    with pytest.raises(TypeError, match="with expectation"):
        compare_gradients(nn.Linear(6, 3), x, [DisARM()])


def test_a_batch_that_the_model_does_not_take_is_refused_by_both_sides(x):
    message = r"DiscreteVAE.expectation takes, data of shape \(6,\), got float32 of shape \(20, 5\): "
    with pytest.raises(ValueError, match=message):
        compare_gradients(DiscreteVAE(**SIZES), x[:, :5], [DisARM()])


def test_no_estimators_and_what_is_none_are_refused(x):
    model = DiscreteVAE(**SIZES)
    with pytest.raises(ValueError, match="estimators: expected at least one GradientEstimator, got an empty list"):
        compare_gradients(model, x, [])
    with pytest.raises(TypeError, match=r"estimators\[1\]: expected a GradientEstimator, got the class Pathwise"):
        compare_gradients(model, x, [DisARM(), Pathwise])


def test_a_reference_that_is_biased_or_does_not_fit_is_refused(x):
    model = DiscreteVAE(**SIZES)
    with pytest.raises(ValueError, match=r"reference: expected an unbiased estimator, got StraightThrough\(\)"):
        compare_gradients(model, x, [DisARM()], reference=StraightThrough())
    with pytest.raises(ValueError, match="reference: Pathwise"):
        compare_gradients(model, x, [DisARM()], reference=Pathwise())


@pytest.mark.parametrize("number", [0, 24, 36])
def test_a_number_of_gradients_that_does_not_divide_is_refused(x, number):
    with pytest.raises(ValueError, match=f"num_repeats: expected a multiple of 8, at least 32, got {number}"):
        compare_gradients(DiscreteVAE(**SIZES), x, [DisARM()], num_repeats=number)
