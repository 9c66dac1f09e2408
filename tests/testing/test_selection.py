"""The problems that an estimator is checked on."""

from reparam_suite.estimators import Average, DisARM, LogMeanExp, Pathwise
from reparam_suite.problems import BernoulliCurved, BernoulliModel, FullGaussianModel, GaussianModel, VonMisesModel
from reparam_suite.problems.catalogue import FULL_NORMAL, IMPLICIT, NORMAL
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
