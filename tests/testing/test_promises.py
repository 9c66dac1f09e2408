"""Defects of an estimator that take no statistics to be found."""

import pytest
import torch
from tests.testing.own_estimators import Changed, Mixed, with_control_loss, with_objective
from torch import Tensor, nn

from reparam_suite.estimators import Estimate, carry
from reparam_suite.problems import ToyGaussian
from reparam_suite.testing import check_estimator

PLANTED = {
    "a value 3 % too large": (
        with_objective(lambda objective: objective + 0.03 * objective.detach()),
        r"objective of Changed on ToyGaussian with an f that ignores z: expected \[0, 1, .*, got \[0, 1.03,",
    ),
    "a gradient 3 % too large": (
        with_objective(lambda objective: objective + 0.03 * carry(objective)),
        "gradient of Changed on ToyGaussian with an f that ignores z: expected 1 with respect to f, got .1.03",
    ),
    "one number for all data": (with_objective(lambda objective: objective.mean()), r"expected the shape \(5,\)"),
    "data mixed in the value": (
        with_objective(lambda objective: objective - objective.mean().detach()),
        "objective of one datum of .*: expected the same at the same noise",
    ),
    "data mixed in the gradient": (
        with_objective(lambda objective: objective + carry(objective.mean())),
        "gradient of one datum of .*: expected zero with respect to the phi of others",
    ),
    "float64 in all cases": (with_objective(Tensor.double), "expected float32 from float32, got torch.float64"),
    "a control loss with a value": (
        with_control_loss(lambda objective: objective.new_ones(())),
        "value of control_loss .*: expected zero, got 1",
    ),
    "a control loss per datum": (with_control_loss(Tensor.detach), "control_loss .*: expected one number"),
    "a control loss that leaks": (
        with_control_loss(lambda objective: carry(objective).sum()),
        "control_loss of .*: expected no gradient with respect to phi",
    ),
}


@pytest.mark.parametrize(("change", "message"), list(PLANTED.values()), ids=list(PLANTED))
def test_a_planted_defect_is_found(change, message):
    with pytest.raises(AssertionError, match=message):
        check_estimator(Changed(change), num_replicates=20_000)


class AddsNoise(Mixed):
    """Values of f are disturbed by noise of mean zero: right in the mean, and wrong where f does not look at z."""

    def estimate(self, target):
        estimate = super().estimate(target)
        return Estimate(
            objective=estimate.objective + torch.randn_like(estimate.objective), control_loss=estimate.control_loss
        )


def test_an_f_that_ignores_z_must_be_exact():
    with pytest.raises(AssertionError, match="with an f that ignores z"):
        check_estimator(AddsNoise(), num_replicates=2_000, problems=[ToyGaussian()])


class WithScale(Mixed):
    """An own parameter that `loss` and `objective` reach as asked."""

    def __init__(self, *, in_loss: bool, in_objective: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.in_loss, self.in_objective = in_loss, in_objective

    def estimate(self, target):
        estimate = super().estimate(target)
        own = carry(self.scale)
        return Estimate(
            objective=estimate.objective + own if self.in_objective else estimate.objective,
            control_loss=own if self.in_loss else estimate.control_loss,
        )


def test_own_parameters_are_reached_by_the_control_loss_alone():
    problems = [ToyGaussian()]
    check_estimator(WithScale(in_loss=True, in_objective=False), num_replicates=2_000, problems=problems)
    with pytest.raises(
        AssertionError, match="expected a gradient with respect to the estimator's parameter scale, got"
    ):
        check_estimator(WithScale(in_loss=False, in_objective=False), num_replicates=2_000, problems=problems)
    with pytest.raises(AssertionError, match=r"objective of .*: expected no gradient reaching scale"):
        check_estimator(WithScale(in_loss=True, in_objective=True), num_replicates=2_000, problems=problems)
