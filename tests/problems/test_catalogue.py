"""The list of all problems is complete."""

import inspect

from reparam_suite import problems
from reparam_suite.estimators import Average, LogMeanExp
from reparam_suite.problems import Problem
from reparam_suite.problems.catalogue import MOST_SAMPLES, PROBLEMS


def test_every_problem_of_the_room_is_in_one_family():
    exported = [getattr(problems, name) for name in problems.__all__]
    concrete = [cls for cls in exported if issubclass(cls, Problem) and not inspect.isabstract(cls)]
    assert len(PROBLEMS) == len(concrete)
    assert set(PROBLEMS) == set(concrete)


def test_multi_sample_bounds_are_of_models_which_have_log_q_inside_f():
    """Of any other f the bound of K values is no bound of anything."""
    models = {cls for cls in PROBLEMS if cls.__name__.endswith("Model")}
    assert set(MOST_SAMPLES) <= models
    for cls in MOST_SAMPLES:
        assert str(cls(bound=LogMeanExp(), num_samples=2)) == f"{cls.__name__}-LogMeanExp2"
        assert str(cls(bound=Average(), num_samples=2)) == cls.__name__
