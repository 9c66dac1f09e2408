"""The display of a study: which trial is the best, how many there are, and how long the rest takes."""

import io
import time
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console
from tests.studies.in_memory import queue_of, trial

from reparam_suite.studies.display import Display, best_trials
from reparam_suite.studies.storage import AWAY


def display(*trials, **given) -> Display:
    directions = given.get("directions", ("maximize",))
    metrics = ("val/elbo", "train/kl")[: len(directions)]
    return Display(queue_of(*trials, **given), metrics, started=time.time() - 60.0)


def shown(made: Display) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(made())
    return console.file.getvalue()


@pytest.mark.parametrize(("direction", "number"), [("maximize", 1), ("minimize", 0)])
def test_the_best_is_the_feasible_one_of_the_largest_or_smallest_value(direction, number):
    infeasible = trial(TrialState.COMPLETE, 5.0 if direction == "maximize" else -50.0)
    infeasible.set_constraint("val/kl at_most", 0.1)
    trials = [trial(TrialState.COMPLETE, -30.0), trial(TrialState.COMPLETE, -20.0), infeasible, trial(TrialState.FAIL)]
    assert [found.number for found in best_trials(queue_of(*trials, directions=(direction,)))] == [number]
    assert best_trials(queue_of(infeasible, trial(TrialState.FAIL), directions=(direction,))) == []


def test_of_several_objectives_all_are_the_best_that_no_other_beats():
    trials = [trial(TrialState.COMPLETE, *values) for values in ((-20.0, 5.0), (-30.0, 2.0), (-30.0, 6.0))]
    found = best_trials(queue_of(*trials, directions=("maximize", "minimize")))
    assert sorted(trial.number for trial in found) == [0, 1]


def test_a_trial_is_told_with_values_and_parameters():
    made = display(trial(TrialState.COMPLETE, -20.1234567, 3.0, rate=0.123456), directions=("maximize", "minimize"))
    (best,) = best_trials(made.queue)
    assert made.told(best) == "best  trial 0: val/elbo -20.1235, train/kl 3 with rate 0.1235, estimator REBAR"


def test_trials_are_counted_by_how_they_ended():
    infeasible = trial(TrialState.COMPLETE, 1.0)
    infeasible.set_constraint("a", 1.0)
    ended = [trial(TrialState.FAIL), trial(TrialState.PRUNED), trial(TrialState.PRUNED), infeasible]
    assert (
        display(trial(TrialState.RUNNING), *ended).counted() == "5 trials, 1 running, 2 pruned, 1 failed, 1 infeasible"
    )
    assert display(trial(TrialState.COMPLETE, 1.0)).counted() == "1 trials"


def test_the_time_that_is_left_is_that_of_the_trials_since_the_command_began():
    """Two trials in a minute: the three others take 90 s."""
    earlier = trial(TrialState.COMPLETE, -9.0)
    earlier.datetime_complete = datetime.now() - timedelta(hours=1)
    done = [trial(TrialState.COMPLETE, -20.0), trial(TrialState.COMPLETE, -30.0)]
    text = shown(display(earlier, *done, *[optuna.create_trial(state=TrialState.WAITING)] * 3))
    assert "3 of 6 trials" in text
    assert "about 1:30 left" in text
    assert "left" not in shown(display(*done))


def test_a_database_that_does_not_answer_is_said(monkeypatch):
    made = display(trial(TrialState.COMPLETE, 1.0))

    def away(*_, **__):
        raise AWAY[0]

    monkeypatch.setattr(type(made.queue.study), "get_trials", away)
    assert shown(made).strip() == "the database of the study does not answer; workers wait for it"
