"""Which estimators a checkpoint is measured with."""

import pytest
import torch
from reparam_suite.commands.usage import UsageError, concrete_subclasses
from torch import nn

from reparam_suite.comparison.candidates import candidates
from reparam_suite.comparison.library import MOST_EVALUATIONS
from reparam_suite.estimators import (
    REBAR,
    Average,
    GradientEstimator,
    LeaveOneOut,
    LogMeanExp,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE

SIZES = {"num_features": 6, "latent_size": 3, "hidden_sizes": (5,)}
RLOO = "ScoreFunction(num_samples=4, baseline=LeaveOneOut())"


def test_all_is_every_estimator_of_the_library_chosen_or_left_out_with_a_reason():
    found = candidates(DiscreteVAE(**SIZES), ["all"])
    named = {type(each).__name__ for each in found.chosen.values()} | {name.split("(")[0] for name in found.left_out}
    assert named == {cls.__name__ for cls in concrete_subclasses(GradientEstimator)}
    assert {"ScoreFunction", RLOO, "ScoreFunction(baseline=MovingAverage())"} <= set(found.chosen)
    assert found.left_out["Pathwise"].startswith("Pathwise needs q of Normal")
    assert (
        "OVIS supports the bound LogMeanExp, got Average"
        in found.left_out["ScoreFunction(num_samples=4, baseline=OVIS())"]
    )
    assert not set(found.chosen) & set(found.left_out)


def test_what_needs_too_many_evaluations_is_measured_only_if_it_is_named():
    model = DiscreteVAE(num_features=6, latent_size=10, hidden_sizes=(5,))
    assert MOST_EVALUATIONS < 2**10
    assert candidates(model, ["all"]).left_out["Enumeration"].startswith("1,024 evaluations of f for each datum")
    found = candidates(model, ["all", "Enumeration"])
    assert "Enumeration" in found.chosen
    assert "Enumeration" not in found.left_out


def test_the_checkpoints_own_estimator_has_what_it_has_learned():
    torch.manual_seed(0)
    model = DiscreteVAE(**SIZES, estimator=REBAR(num_samples=1))
    found = candidates(model, ["REBAR", "RELAX", "DisARM"])
    assert found.chosen["REBAR"] is model.estimator
    assert found.own == "REBAR"
    assert [found.state_of(name) for name in ("REBAR", "RELAX", "DisARM")] == ["trained", "initial", "none"]
    assert candidates(model, ["DisARM"]).own is None
    own = ScoreFunction(num_samples=3, baseline=LeaveOneOut())
    found = candidates(DiscreteVAE(**SIZES, estimator=own), ["all"])
    assert next(iter(found.chosen)) == found.own == "ScoreFunction(num_samples=3, baseline=LeaveOneOut())"
    assert RLOO in found.chosen


def test_a_bound_of_several_samples_is_measured_with_as_many():
    model = GaussianVAE(**SIZES, bound=LogMeanExp(), estimator=StickTheLanding(num_samples=3))
    found = candidates(model, ["all"])
    assert {each.num_samples for each in found.chosen.values()} == {3}
    assert {"Pathwise(num_samples=3)", "StickTheLanding(num_samples=3)"} <= set(found.chosen)
    assert found.left_out["MuProp"] == "MuProp supports the bound Average, got LogMeanExp"
    with pytest.raises(UsageError, match="the bound that was trained has 3 samples, and its own 5"):
        candidates(model, ["Pathwise(num_samples=5)"])


class Mine(GradientEstimator):
    families = Pathwise.families
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
    found = candidates(GaussianVAE(**SIZES), [f"{path}(scale=2.0)"])
    assert list(found.chosen) == ["Mine(scale=2.0)"]
    with pytest.raises(UsageError, match="Forgetful is no GradientEstimator"):
        candidates(GaussianVAE(**SIZES), [f"{__name__}.Forgetful"])


def test_trying_an_estimator_leaves_its_lazy_layers_to_the_measurement():
    found = candidates(DiscreteVAE(**SIZES), ["ScoreFunction(baseline=Learned())"])
    (estimator,) = found.chosen.values()
    assert any(isinstance(each, nn.UninitializedParameter) for each in estimator.parameters())
