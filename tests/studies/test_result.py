"""The result of a study as a frame."""

import math

import pandas as pd
from optuna.trial import TrialState
from tests.studies.in_memory import queue_of, trial

from reparam_suite.studies.queue import CALL, ERROR, RUNS
from reparam_suite.studies.result import result_of


def result(*trials, call="now"):
    return result_of(queue_of(*trials), arguments=["rate", "estimator"], metric="val/elbo", seed=10, call=call)


def test_a_row_for_each_trial_and_the_best_of_them():
    made = result(
        trial(TrialState.COMPLETE, -30.0, rate=0.1, user_attrs={RUNS: ["a"], CALL: "before"}),
        trial(TrialState.COMPLETE, -20.0, rate=0.2, user_attrs={RUNS: ["b"], CALL: "now"}),
        trial(TrialState.PRUNED, rate=0.3, user_attrs={RUNS: ["c"], ERROR: "pruned at step 4", CALL: "now"}),
        trial(TrialState.FAIL, rate=0.4, user_attrs={ERROR: "ValueError: no", CALL: "now"}),
    )
    frame = made.frame
    assert list(frame.columns) == ["trial", "state", "run_id", "seed", "rate", "estimator", "val/elbo", "reason"]
    assert list(frame["seed"]) == [10, 11, 12, 13]
    assert list(frame["run_id"])[:3] == ["a", "b", "c"]
    assert pd.isna(frame["run_id"][3])
    assert list(frame["val/elbo"])[:2] == [-30.0, -20.0]
    assert all(map(math.isnan, frame["val/elbo"][2:])), "what a pruned trial had reached is no value of it"
    assert list(frame["reason"])[2:] == ["pruned at step 4", "ValueError: no"]
    assert made.trained == 3
    assert (made.best_run_id, made.best_params) == ("b", {"rate": 0.2, "estimator": "REBAR"})


def test_without_a_complete_trial_there_is_no_best():
    made = result(trial(TrialState.FAIL))
    assert (made.best_run_id, made.best_params, made.trained) == (None, None, 0)
