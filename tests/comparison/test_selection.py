"""The estimators of a comparison: those that fit, and the reason why another is left out."""

import pytest
from tests.comparison.small import SIZES

from reparam_suite.comparison import compare_gradients
from reparam_suite.estimators import REBAR, DisARM, Learned, Pathwise, ScoreFunction, StickTheLanding
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ImportanceWeighted


def test_the_models_own_estimator_is_measured_with_what_it_has_learned(x):
    model = DiscreteVAE(**SIZES, estimator=REBAR())
    comparison = compare_gradients(model, x, [REBAR(), model.estimator, DisARM()])
    assert comparison.own == "REBAR() 2"
    assert comparison.learned_parts == {"REBAR()": "initial", "REBAR() 2": "trained", "DisARM()": "none"}


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


def test_no_estimators_and_what_is_none_are_refused(x):
    model = DiscreteVAE(**SIZES)
    with pytest.raises(ValueError, match="estimators: expected at least one GradientEstimator, got an empty list"):
        compare_gradients(model, x, [])
    with pytest.raises(TypeError, match=r"estimators\[1\]: expected a GradientEstimator, got the class Pathwise"):
        compare_gradients(model, x, [DisARM(), Pathwise])
