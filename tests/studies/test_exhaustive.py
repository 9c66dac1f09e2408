"""Exhaustive samplers in studies whose trials are claimed one by one, as workers claim them."""

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BruteForceSampler, GridSampler, RandomSampler

from reparam_suite.studies.distributions import ArgumentSpace
from reparam_suite.studies.exhaustive import as_sampler
from reparam_suite.studies.queue import Queue
from reparam_suite.studies.space import parsed
from reparam_suite.studies.storage import open_storage, unexperimental

SPACE = ArgumentSpace({"a": IntDistribution(1, 2), "b": CategoricalDistribution(["x", "y", "z"])})
BRANCHES = parsed({"e": {"categorical": {"A": {"k": {"int": [1, 3]}}, "B": None}}, "n": {"int": [1, 2]}})


def brute_force():
    with unexperimental():
        return BruteForceSampler(seed=0)


@pytest.mark.parametrize(
    "make", [lambda: GridSampler({"a": [1, 2], "b": ["x", "y", "z"]}), brute_force], ids=["grid", "brute force"]
)
def test_every_combination_has_one_trial_and_the_study_ends_by_itself(tmp_path, make):
    storage = open_storage(f"sqlite:///{tmp_path}/optuna.db", heartbeat=10, root=tmp_path)
    study = optuna.create_study(storage=storage, sampler=as_sampler(make(), SPACE, 6))
    queue = Queue(study, storage, 6)
    queue.fill()
    found = []
    try:
        while (claim := queue.claim()) is not None:
            found.append(tuple(SPACE.suggest(claim.trial).values()))
            study.tell(claim.trial, 1.0)
    finally:
        queue.close()
    assert sorted(found) == [(a, b) for a in (1, 2) for b in "xyz"]


def test_other_samplers_stay_what_they_are():
    sampler = RandomSampler()
    assert as_sampler(sampler, SPACE, 100) is sampler


def test_points_are_counted_through_all_branches():
    assert SPACE.num_points() == 6
    assert BRANCHES.num_points() == 8
    assert BRANCHES.names() == {"e", "e.A.k", "n"}
    assert ArgumentSpace({"a": FloatDistribution(0.0, 1.0, step=0.25)}).num_points() == 5
    assert math.isinf(parsed({"a": {"float": [0, 1]}}).num_points())


@pytest.mark.parametrize(
    ("make", "space", "trials", "told"),
    [
        (brute_force, BRANCHES, 9, "trials: expected at most 8, the combinations of BruteForceSampler, got 9"),
        (lambda: GridSampler({"a": [1], "b": ["x"]}), SPACE, 2, "at most 1, the combinations of GridSampler, got 2"),
        (lambda: GridSampler({"a": [1]}), SPACE, 1, "sampler: expected a search_space of a, b, got a"),
        (brute_force, parsed({"a": {"float": [0, 1]}}), 1, "sampler: BruteForceSampler goes through a finite space"),
    ],
)
def test_what_has_too_few_combinations_is_refused(make, space, trials, told):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        as_sampler(make(), space, trials)
    assert told in str(error.value)
