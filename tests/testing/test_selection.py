"""The problems that an estimator is checked on."""

import logging

import pytest
from tests.testing.own_estimators import Mixed

from reparam_suite.estimators import Average, DisARM, LogMeanExp, Pathwise
from reparam_suite.problems import BernoulliCurved, BernoulliModel, FullGaussianModel, GaussianModel, VonMisesModel
from reparam_suite.problems.catalogue import FULL_NORMAL, IMPLICIT, NORMAL
from reparam_suite.testing import check_estimator
from reparam_suite.testing.selection import fitting_problems, supported_bounds


def test_they_are_those_whose_q_it_fits_with_every_bound_that_it_supports():
    assert [type(problem) for problem in fitting_problems(DisARM())] == [BernoulliCurved, BernoulliModel]
    found = fitting_problems(Pathwise(num_samples=2))
    averaged = [type(problem) for problem in found if isinstance(problem.bound, Average)]
    assert averaged == [*NORMAL, *FULL_NORMAL, *IMPLICIT]
    weighted = {type(problem): problem.num_samples for problem in found if isinstance(problem.bound, LogMeanExp)}
    assert weighted == dict.fromkeys((GaussianModel, FullGaussianModel, VonMisesModel), 2)


def test_one_bound_of_each_class_is_tried():
    assert [type(bound) for bound in supported_bounds(Pathwise())] == [Average, LogMeanExp]
    assert [type(bound) for bound in supported_bounds(DisARM())] == [Average]


class FitsNothing(Mixed):
    def fits(self, q):
        return "nothing fits"


def test_an_estimator_that_fits_no_problem_is_refused():
    with pytest.raises(ValueError, match="FitsNothing fits none of the suite's problems"):
        check_estimator(FitsNothing())


def test_a_bound_whose_exact_value_is_out_of_reach_is_named_in_the_log(caplog):
    wrong = Pathwise(num_samples=7)
    wrong.evaluations = lambda q: 0
    with caplog.at_level(logging.WARNING), pytest.raises(AssertionError):
        check_estimator(wrong)
    assert (
        "Pathwise was not checked on LogMeanExp: its exact value needs num_samples of at most 2, got 7" in caplog.text
    )
