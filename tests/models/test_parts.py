"""The parts of a model: every trained parameter in one of them, estimators' own last."""

from torch import nn

from reparam_suite.estimators import Pathwise, ScoreFunction
from reparam_suite.estimators.baselines import Learned
from reparam_suite.models.parts import CONTROL, child_groups, with_control


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(nn.Linear(1, 1).weight.detach())
        self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 2)
        self.second.bias.requires_grad_(False)
        self.again = self.first  # the same module under another name
        self.estimator = ScoreFunction(baseline=Learned(hidden_sizes=(4,)))


def test_parts_are_the_children_in_order_and_each_parameter_is_in_one():
    model = Model()
    groups = child_groups(model)
    assert list(groups) == ["own", "first", "second", CONTROL]
    assert groups["own"] == [model.scale]
    assert groups["second"] == [model.second.weight]
    assert {*groups[CONTROL]} == {*model.estimator.parameters()}


def test_what_estimators_own_is_taken_out_of_the_other_parts():
    model = Model()
    groups = with_control(model, {"all": list(model.parameters())})
    assert set(groups) == {"all", CONTROL}
    assert not {*groups["all"]} & {*model.estimator.parameters()}


def test_a_part_without_parameters_is_left_out():
    model = nn.Module()
    model.estimator, model.nothing = Pathwise(), nn.ReLU()
    assert child_groups(model) == {}
