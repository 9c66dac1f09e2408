import pytest

from reparam_suite.estimators import DisARM
from reparam_suite.workers import check_arguments, made_run


def test_a_function_that_takes_the_arguments_is_accepted():
    check_arguments(lambda a, seed: None, ["a"])
    check_arguments(lambda *, seed, **more: None, ["a", "b"])
    for function in (lambda a: None, lambda a, b, seed: None, lambda seed: None):
        with pytest.raises(TypeError, match="make_run: expected a function of a, seed, by name; got one of"):
            check_arguments(function, ["a"])


def test_the_values_of_a_run_are_copies():
    estimator, seen = DisARM(num_samples=2), []

    def make(estimator, seed):
        seen.append(estimator)

    with pytest.raises(TypeError, match="make_run: expected a Run, got NoneType"):
        made_run(make, {"estimator": estimator}, 0)
    assert seen[0] is not estimator
    assert seen[0].num_samples == 2
