"""check_estimator accepts estimators that keep the contract and finds every defect that is planted in one."""

import logging

import pytest
import torch
from tests.testing.own_estimators import Averages, Mixed

from reparam_suite.estimators import (
    DisARM,
    Estimate,
    GumbelSoftmax,
    Learned,
    LeaveOneOut,
    LogMeanExp,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StraightThrough,
)
from reparam_suite.problems import BernoulliCurved, BernoulliModel, GaussianModel, ToyGaussian
from reparam_suite.testing import check_estimator


def test_an_estimator_of_ones_own_passes_on_all_that_it_fits():
    check_estimator(Mixed(), num_replicates=20_000)


ON_BITS = [BernoulliCurved(), BernoulliModel()]


@pytest.mark.parametrize(
    ("estimator", "problems"),
    [
        (Pathwise(), None),
        (DisARM(), None),
        (StraightThrough(), ON_BITS),
        (GumbelSoftmax(), ON_BITS),
        (ScoreFunction(num_samples=4, baseline=LeaveOneOut()), ON_BITS),
        (ScoreFunction(num_samples=4, baseline=MovingAverage()), [BernoulliModel()]),
        (ScoreFunction(num_samples=4, baseline=Learned()), [BernoulliModel()]),
        (ScoreFunction(num_samples=3, baseline=LeaveOneOut()), [BernoulliModel(bound=LogMeanExp(), num_samples=3)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_of_the_suite_pass(estimator, problems):
    check_estimator(estimator, num_replicates=20_000, problems=problems)


# ------------------------------------------------------------------------------------------------ defects that are seen


def test_a_wrong_number_of_evaluations_is_found_before_anything_is_drawn():
    wrong = Mixed()
    wrong.evaluations = lambda q: 8
    with pytest.raises(AssertionError, match=r"evaluations\(q\) of Mixed on .*: expected the 4 rows .*, got 8"):
        check_estimator(wrong, num_replicates=2_000)


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_three_percent_of_the_gradient_with_respect_to_phi_are_found(factor):
    wrong = Mixed(weight=0.0)
    wrong.gradient_of = lambda score: factor * score
    with pytest.raises(AssertionError, match=r"gradient with respect to phi of Mixed on .* standard errors apart"):
        check_estimator(wrong, num_replicates=20_000, problems=[GaussianModel()])


class SmallerValue(Mixed):
    """The value is that of the smaller samples, to a share of a fiftieth; where f ignores z it is right."""

    def estimate(self, target):
        estimate = super().estimate(target)
        f = target.f(target.q.sample((2,)), target.q).detach()
        lower = estimate.objective + 0.02 * (f.amin(0) - f.mean(0))
        return Estimate(objective=lower, control_loss=estimate.control_loss)

    def evaluations(self, q):
        return self.num_samples + 2


def test_a_value_that_is_not_the_bound_is_found():
    message = r"value of SmallerValue on GaussianModel: expected -1.923, got -1.9\d*: \d*\.\d standard errors apart"
    with pytest.raises(AssertionError, match=message):
        check_estimator(SmallerValue(), num_replicates=20_000, problems=[GaussianModel()])


class Skewed(Mixed):
    """The part of the score is lost: biased, whatever it declares."""

    def gradient_of(self, score):
        return 0.0 * score


class DeclaresItsBias(Skewed):
    unbiased = False


class DeclaresTooMuch(Mixed):
    unbiased = False


def test_a_bias_that_is_not_declared_is_found():
    with pytest.raises(AssertionError, match=r"gradient with respect to phi of Skewed .* standard errors apart"):
        check_estimator(Skewed(), num_replicates=20_000, problems=[GaussianModel()])


def test_a_declared_bias_must_be_seen_somewhere():
    check_estimator(DeclaresItsBias(), num_replicates=20_000, problems=[GaussianModel()])
    with pytest.raises(
        AssertionError, match="unbiased = False: expected a bias of its gradient on one of GaussianModel"
    ):
        check_estimator(DeclaresTooMuch(), num_replicates=20_000, problems=[GaussianModel()])


def test_a_declared_relaxation_must_be_seen_somewhere():
    wrong = Mixed()
    wrong.relaxed = True
    with pytest.raises(AssertionError, match="relaxed = True: expected another value than the bound"):
        check_estimator(wrong, num_replicates=20_000, problems=[ToyGaussian()])


def test_a_derivative_of_f_that_is_not_declared_is_found():
    wrong = Mixed()
    wrong.differentiates_f = False
    with pytest.raises(AssertionError, match=r"gradient with respect to phi .* standard errors apart"):
        check_estimator(wrong, num_replicates=20_000, problems=[GaussianModel()])


def test_state_that_moves_in_eval_mode_is_found():
    wrong = Averages(learns_first=False, in_eval_mode=True)
    with pytest.raises(AssertionError, match="past of Averages on GaussianModel: expected no change in eval mode"):
        check_estimator(wrong, num_replicates=2_000, problems=[GaussianModel()])


# ----------------------------------------------------------------------------------------------- the object, the choice


def test_the_object_itself_is_left_as_it_is():
    estimator = ScoreFunction(num_samples=2, baseline=MovingAverage()).train()
    before = {name: value.clone() for name, value in estimator.state_dict().items()}
    generator = torch.get_rng_state()
    check_estimator(estimator, num_replicates=2_000, problems=[ToyGaussian()])
    assert estimator.training
    assert all(torch.equal(before[name], value) for name, value in estimator.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


def test_what_was_changed_after_construction_is_what_is_checked():
    changed = Mixed()
    changed.weight = 0.9
    changed.gradient_of = lambda score: 1.3 * score
    with pytest.raises(AssertionError, match="standard errors apart"):
        check_estimator(changed, num_replicates=20_000, problems=[GaussianModel()])


def test_too_few_draws_are_named_in_the_log(caplog, monkeypatch):
    monkeypatch.setattr("reparam_suite.testing.estimators.MOST_ROUNDS", 1)
    with caplog.at_level(logging.WARNING):
        check_estimator(ScoreFunction(), num_replicates=100, problems=[GaussianModel()])
    assert "phi of ScoreFunction on GaussianModel: only an error of" in caplog.text
