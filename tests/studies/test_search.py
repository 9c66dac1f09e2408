"""The definition of a study as its workers see it."""

import pytest
from tests.studies.searches import make_run, search

from reparam_suite.studies.search import running_metric


def test_a_trial_has_a_seed_of_its_own_or_those_of_the_study():
    assert [search(seed=seed).seeds_of(3) for seed in (None, 5, 2**32 - 2)] == [(3,), (8,), (1,)]
    assert search(seed=5, seeds=(1, 9)).seeds_of(3) == (1, 9)


def test_a_run_gets_name_and_tags_of_its_trial_beside_its_own():
    run = search().run({"rate": 0.2}, 7, name="small-0", tags={"study": "small"})
    assert (run.seed, run.name) == (7, "small-0")
    assert dict(run.tags) == {"rate": "0.2", "study": "small"}

    def named(rate, seed):
        from dataclasses import replace

        return replace(make_run(rate, seed), name="its own")

    assert search(make_run=named).run({"rate": 0.2}, 7, name="small-0", tags={}).name == "its own"
    with pytest.raises(TypeError, match="make_run: expected a Run, got NoneType"):
        search(make_run=lambda rate, seed: None).run({"rate": 0.2}, 7, name="", tags={})


@pytest.mark.parametrize(
    ("objective", "seen"), [("val/elbo_best", "val/elbo"), ("val/elbo", "val/elbo"), ("test/elbo", None)]
)
def test_a_pruner_sees_the_running_value_of_an_objective(objective, seen):
    assert running_metric(objective) == seen
    assert search(objectives={objective: "maximize", "train/kl": "minimize"}).reported == seen


def test_runs_are_tested_where_objective_or_constraint_asks_for_it():
    assert not search().tests
    assert search(objectives={"val/elbo": "maximize", "test/elbo": "maximize"}).tests
    assert search(constraints={"test/kl": None}).tests
