"""Numbers that constructors take: type and range of every one, NumPy's among them, in one message."""

import functools
import inspect
import math
import subprocess
import sys

import numpy as np
import pytest

import reparam_suite.estimators as library
from reparam_suite.estimators import (
    ARMS,
    UGC,
    Baseline,
    DirichletCopula,
    ExponentialDecay,
    GradientEstimator,
    GumbelSoftmax,
    Learned,
    MovingAverage,
    NoBaseline,
    ScoreFunction,
    TemperatureSchedule,
    VarianceNormalized,
)

CLASSES = [
    cls
    for cls in vars(library).values()
    if inspect.isclass(cls)
    and issubclass(cls, GradientEstimator | Baseline | TemperatureSchedule)
    and not inspect.isabstract(cls)
]
OPTIONS = [
    (cls, parameter.name, parameter.default)
    for cls in CLASSES
    for parameter in inspect.signature(cls).parameters.values()
    if isinstance(parameter.default, int | float) or parameter.name == "threshold"
]
INTEGERS = [(cls, name, default) for cls, name, default in OPTIONS if isinstance(default, int)]
REALS = [(cls, name, default) for cls, name, default in OPTIONS if not isinstance(default, int)]


WRONG_INTEGERS = [4.0, "4", None, True, math.nan, [4], -1, 0]
WRONG_REALS = ["0.5", True, math.nan, math.inf, [0.5]]
WRONG_SIZES = ["100", 100, [100.0], [0], ["100"], None]


def refuse(make, expected: str, wrong) -> None:
    # Of another type a TypeError, a number out of its range a ValueError.
    with pytest.raises((TypeError, ValueError), match=expected) as refused:
        make()
    if not isinstance(wrong, list):
        assert str(refused.value).endswith(f"got {wrong!r}")
        assert isinstance(refused.value, TypeError) == is_another_type(expected, wrong)


def is_another_type(expected: str, wrong) -> bool:
    numbers = int if "an integer" in expected else (int, float)
    return isinstance(wrong, bool) or not isinstance(wrong, numbers)


def check_refusals() -> None:
    """A value that is no number in range is refused by class and option."""
    for cls, name, _ in INTEGERS:
        for wrong in WRONG_INTEGERS:
            expected = rf"^{name} of {cls.__name__}: expected an integer of at least \d, got "
            refuse(functools.partial(cls, **{name: wrong}), expected, wrong)
    for cls, name, _ in REALS:
        for wrong in WRONG_REALS:
            refuse(
                functools.partial(cls, **{name: wrong}), rf"^{name} of {cls.__name__}: expected a finite number", wrong
            )
    for wrong in WRONG_SIZES:
        refuse(functools.partial(Learned, hidden_sizes=wrong), "^hidden_sizes of Learned: expected ", [])


def check_numpy() -> None:
    """Numbers of NumPy are taken, and kept as Python's."""
    for cls, name, default in OPTIONS:
        value = 0.5 if default is None else default
        kinds = [np.int64, np.int32] if isinstance(value, int) else [np.float64]
        for kind in kinds:
            kept = getattr(cls(**{name: kind(value)}), name)
            assert type(kept) is type(value), (cls, name)
            assert kept == value
    assert type(GumbelSoftmax(temperature=np.float32(0.5)).temperature) is float
    assert Learned(hidden_sizes=np.array([3, 4])).hidden_sizes == [3, 4]
    assert GumbelSoftmax(temperature=1).temperature == 1.0


def test_there_are_options_to_check():
    assert len(INTEGERS) > 40
    assert len(REALS) > 15


def test_numbers_are_checked_by_the_constructors_themselves():
    """In a process of its own: in the other tests the types of signatures are enforced before a constructor runs."""
    ended = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_schedule_is_kept_as_it_is():
    schedule = ExponentialDecay()
    assert GumbelSoftmax(temperature=schedule).temperature is schedule
    assert UGC(threshold=None).threshold is None


def test_none_stands_for_the_documented_object():
    assert type(ScoreFunction().baseline) is NoBaseline
    assert type(VarianceNormalized().baseline) is MovingAverage
    assert type(ARMS().copula) is DirichletCopula
    assert ScoreFunction().baseline is not ScoreFunction().baseline


if __name__ == "__main__":
    check_refusals()
    check_numpy()
