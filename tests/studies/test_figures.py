"""Figures of a study: which are drawn of which trials, and the table of all of them."""

import csv
from datetime import timedelta

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from optuna.trial import TrialState
from optuna.visualization import matplotlib
from tests.studies.in_memory import queue_of, trial

from reparam_suite.studies.figures import drawn, table
from reparam_suite.studies.queue import ERROR, RUNS

FUNCTIONS = ("optimization_history", "param_importances", "parallel_coordinate", "slice", "pareto_front")


@pytest.fixture
def asked(monkeypatch):
    """The options that Optuna's functions are given, by name; a figure of theirs takes a while."""
    found = {}

    def stands_for(name):
        def plot(study, **options):
            found.setdefault(name, []).append(options)
            mpl.rcParams["lines.linewidth"] = 99.0  # as Optuna sets its style
            return Figure().subplots()

        return plot

    for name in FUNCTIONS:
        monkeypatch.setattr(matplotlib, f"plot_{name}", stands_for(name))
    return found


def names(*trials, metrics=("val/elbo",), **given) -> list[str]:
    return [name for name, _ in drawn(queue_of(*trials, **given).study, metrics)]


def test_importances_take_trials_of_different_values(asked):
    one, same, other = (trial(TrialState.COMPLETE, value) for value in (1.0, 1.0, 2.0))
    always = ["optimization_history", "parallel_coordinate", "slice"]
    assert names(trial(TrialState.FAIL)) == []
    assert names(one) == names(one, same) == always
    assert names(one, other) == ["optimization_history", "param_importances", "parallel_coordinate", "slice"]
    assert mpl.rcParams["lines.linewidth"] != 99.0, "no figure that follows has the style"


def test_each_objective_has_figures_of_its_own_and_two_have_a_front(asked):
    """Importances are those of low values: of what is maximised the sign is turned."""
    trials = [trial(TrialState.COMPLETE, -20.0, 3.0), trial(TrialState.COMPLETE, -30.0, 1.0)]
    given = {"metrics": ("val/elbo", "train/kl"), "directions": ("maximize", "minimize")}
    found = names(*trials, **given)
    assert found[:2] == ["optimization_history-val-elbo", "param_importances-val-elbo"]
    assert found[-1] == "pareto_front"
    targets = [options["target"](trials[0]) for options in asked["param_importances"]]
    assert targets == [20.0, 3.0]
    assert [options["target"](trials[0]) for options in asked["slice"]] == [-20.0, 3.0]
    assert [options["target_name"] for options in asked["slice"]] == ["val/elbo", "train/kl"]


def test_the_table_has_a_row_for_each_trial_with_all_that_is_known_of_it():
    complete = trial(TrialState.COMPLETE, -20.5, user_attrs={RUNS: ["r1", "r2"]})
    complete.datetime_start, complete.datetime_complete = (
        complete.datetime_start,
        complete.datetime_start + timedelta(seconds=2.5),
    )
    infeasible = trial(TrialState.COMPLETE, -1.0)
    infeasible.set_constraint("val/kl at_most", 0.5)
    failed = trial(TrialState.FAIL, user_attrs={ERROR: "it broke"}, system_attrs={"failed_trial": 0})
    rows = list(csv.DictReader(table(queue_of(complete, infeasible, failed).study, ("val/elbo",)).splitlines()))
    assert [(row["number"], row["state"], row["feasible"]) for row in rows] == [
        ("0", "COMPLETE", "true"),
        ("1", "COMPLETE", "false"),
        ("2", "FAIL", ""),
    ]
    assert (rows[0]["val/elbo"], rows[0]["rate"], rows[0]["runs"], rows[0]["seconds"]) == (
        "-20.5",
        "0.25",
        "r1 r2",
        "2.500",
    )
    assert (rows[2]["val/elbo"], rows[2]["retry_of"], rows[2]["error"]) == ("", "0", "it broke")
