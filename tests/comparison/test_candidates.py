"""Estimators that the command line names."""

import pytest
import torch
from torch import nn

from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.comparison.candidates import candidates
from reparam_suite.comparison.library import MOST_EVALUATIONS
from reparam_suite.estimators import (
    REBAR,
    Average,
    GradientEstimator,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ImportanceWeighted
from reparam_suite.runtime.errors import UsageError

X = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
SIZES = {"event_shape": (6,), "latent_size": 3, "hidden_sizes": (5,)}
RLOO = "ScoreFunction(num_samples=4, baseline=LeaveOneOut())"


def test_all_is_every_estimator_of_the_library_chosen_or_left_out_with_a_reason():
    found = candidates(DiscreteVAE(**SIZES), X, ["all"])
    named = {type(estimator).__name__ for estimator in found.chosen.values()} | {
        name.split("(")[0] for name in found.left_out
    }
    assert named == {cls.__name__ for cls in concrete_subclasses(GradientEstimator)}
    assert {"ScoreFunction()", RLOO, "ScoreFunction(baseline=MovingAverage())"} <= set(found.chosen)
    assert found.left_out["Pathwise()"].startswith("Pathwise: ")
    assert "LogMeanExp" in found.left_out["ScoreFunction(num_samples=4, baseline=OVIS())"]
    assert not set(found.chosen) & set(found.left_out)


def test_what_needs_too_many_evaluations_is_measured_only_if_it_is_named():
    model = DiscreteVAE(event_shape=(6,), latent_size=10, hidden_sizes=(5,))
    assert MOST_EVALUATIONS < 2**10
    assert candidates(model, X, ["all"]).left_out["Enumeration()"].startswith("1,024 evaluations of f per datum")
    found = candidates(model, X, ["all", "Enumeration"])
    assert "Enumeration()" in found.chosen
    assert "Enumeration()" not in found.left_out


def test_the_checkpoints_own_estimator_is_the_models_own():
    torch.manual_seed(0)
    model = DiscreteVAE(**SIZES, estimator=REBAR(num_samples=1))
    found = candidates(model, X, ["REBAR", "RELAX", "DisARM"])
    assert list(found.chosen) == ["REBAR()", "RELAX()", "DisARM()"]
    assert [estimator is model.estimator for estimator in found.chosen.values()] == [True, False, False]
    own = ScoreFunction(num_samples=3, baseline=LeaveOneOut())
    found = candidates(DiscreteVAE(**SIZES, estimator=own), X, ["all"])
    assert next(iter(found.chosen)) == "ScoreFunction(num_samples=3, baseline=LeaveOneOut())"
    assert RLOO in found.chosen


def test_a_bound_of_several_samples_is_measured_with_as_many():
    model = GaussianVAE(**SIZES, objective=ImportanceWeighted(), estimator=StickTheLanding(num_samples=3))
    found = candidates(model, X, ["all"])
    assert {estimator.num_samples for estimator in found.chosen.values()} == {3}
    assert {"Pathwise(num_samples=3)", "StickTheLanding(num_samples=3)"} <= set(found.chosen)
    assert found.left_out["MuProp()"].startswith("MuProp: ")
    with pytest.raises(UsageError, match="num_samples: expected 3, that of the model's bound, got 5"):
        candidates(model, X, ["Pathwise(num_samples=5)"])


class Mine(GradientEstimator):
    bounds = (Average,)
    differentiates_f = True
    unbiased = True

    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.inner = Pathwise()

    def estimate(self, target):
        return self.inner.estimate(target)


class Forgetful(nn.Module):
    pass


def test_a_class_of_ones_own_is_named_by_its_path():
    path = f"{__name__}.Mine"
    found = candidates(GaussianVAE(**SIZES), X, [f"{path}(scale=2.0)"])
    assert list(found.chosen) == ["Mine(scale=2.0)"]
    with pytest.raises(UsageError, match="Forgetful"):
        candidates(GaussianVAE(**SIZES), X, [f"{__name__}.Forgetful"])


def test_trying_an_estimator_leaves_its_lazy_layers_to_the_measurement():
    found = candidates(DiscreteVAE(**SIZES), X, ["ScoreFunction(baseline=Learned())"])
    (estimator,) = found.chosen.values()
    assert any(isinstance(parameter, nn.UninitializedParameter) for parameter in estimator.parameters())
