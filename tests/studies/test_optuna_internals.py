"""Private names of Optuna: each does what `optuna_internals` takes it to do."""

import optuna

from reparam_suite.studies.optuna_internals import grid_of, trial_id


def test_a_trial_is_found_by_its_id():
    storage = optuna.storages.InMemoryStorage()
    for name in ("first", "second"):
        study = optuna.create_study(storage=storage, study_name=name)
        study.enqueue_trial({})
    (trial,) = study.trials
    assert trial.number == 0
    assert storage.get_study_id_from_name("second") != storage.get_study_id_from_name("first")
    assert storage.get_trial(trial_id(trial)) == trial


def test_the_values_of_a_grid_are_those_that_it_was_given():
    assert grid_of(optuna.samplers.GridSampler({"b": [1, 2], "a": ["x"]})) == {"a": ["x"], "b": [1, 2]}
