"""The share of a run's time that measurements take, by a clock that the test sets."""

import logging
from types import SimpleNamespace

import pytest

from reparam_suite.training.budget import MeasuringBudget

TRAINER = SimpleNamespace(
    strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, **_: decision),
    is_global_zero=True,
    global_step=40,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def budget(clock: Clock) -> MeasuringBudget:
    made = MeasuringBudget("the variance", share=0.5, free_seconds=3.0)
    made._clock, made._since = clock, clock()
    return made


def spend(made: MeasuringBudget, clock: Clock, *, training: float, measuring: float) -> None:
    clock.now += training
    with made.measuring():
        clock.now += measuring


def test_a_measurement_fits_while_it_and_all_before_take_their_share(clock, caplog):
    made = budget(clock)
    assert made.affords(TRAINER)
    spend(made, clock, training=0.0, measuring=2.0)
    with caplog.at_level(logging.WARNING):
        assert not made.affords(TRAINER)  # 2 + 2 of 3 seconds
        clock.now += 1.9
        assert not made.affords(TRAINER)  # of 3.95
        clock.now += 0.1
        assert made.affords(TRAINER)  # of 4
    (said,) = caplog.messages
    assert said.startswith("measuring the variance takes 2 s at a time: from step 40 on")


def test_a_state_continues_where_it_stood(clock):
    made = budget(clock)
    spend(made, clock, training=4.0, measuring=2.0)
    clock.now += 1.0
    state = made.state_dict()
    assert state == {"spent": 2.0, "longest": 2.0, "rest": 5.0, "said": False}
    again = budget(clock)
    clock.now += 100.0
    again.load_state_dict(state)
    assert again.state_dict() == state
