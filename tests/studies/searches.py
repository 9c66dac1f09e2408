"""Definitions of studies for tests, and runs of theirs that are not trained."""

from types import SimpleNamespace
from typing import Any

import optuna
from optuna.distributions import FloatDistribution

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.studies.distributions import ArgumentSpace
from reparam_suite.studies.search import Search

SPACE = ArgumentSpace({"rate": FloatDistribution(0.1, 0.5)})


def make_run(rate: float, seed: int) -> Run:
    return Run(GaussianVAE, Digits, seed=seed, tags={"rate": str(rate)})


def search(**given: Any) -> Search:
    """A study of one number."""
    parts: dict[str, Any] = {
        "name": "small",
        "make_run": make_run,
        "space": SPACE,
        "objectives": {"val/elbo_best": "maximize"},
        "num_trials": 2,
        "sampler": optuna.samplers.RandomSampler(seed=0),
        "pruner": None,
        "definition": {"a": 1},
    }
    return Search(**(parts | given))


def not_trained(monkeypatch: Any) -> SimpleNamespace:
    """Keeps runs from being trained: `runs` has those that would have been, with their surroundings.

    `outcomes` are raised, or given as the metrics of a result; after them every run has a bound of -20.
    """
    seen = SimpleNamespace(runs=[], outcomes=[])

    def fit_within(run: Run, surroundings: Any) -> Any:
        seen.runs.append((run, surroundings))
        outcome = seen.outcomes.pop(0) if seen.outcomes else {"val/elbo_best": -20.0}
        if isinstance(outcome, BaseException):
            raise outcome
        return SimpleNamespace(metrics=outcome)

    monkeypatch.setattr(Run, "fit_within", fit_within)
    return seen
