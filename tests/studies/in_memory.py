"""Studies whose trials are made up, and whose storage is this process's memory."""

from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from reparam_suite.studies.queue import Queue

SPACE = {"rate": FloatDistribution(0.0, 1.0), "estimator": CategoricalDistribution(["DisARM", "REBAR"])}


def trial(state: TrialState = TrialState.COMPLETE, *values: float, rate: float = 0.25, **given: Any) -> FrozenTrial:
    params = {"rate": rate, "estimator": "REBAR"}
    return optuna.create_trial(state=state, values=list(values) or None, params=params, distributions=SPACE, **given)


def queue_of(*trials: FrozenTrial, directions: tuple[str, ...] = ("maximize",), num_trials: int | None = None) -> Queue:
    """A study of these trials, as its workers see it."""
    study = optuna.create_study(study_name="small", directions=list(directions))
    study.add_trials(trials)
    storage: Any = None
    return Queue(study, storage, len(trials) if num_trials is None else num_trials)
