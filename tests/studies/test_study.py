"""Studies started from Python."""

import logging
import math

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner, ThresholdPruner
from optuna.samplers import GridSampler, RandomSampler

from reparam_suite import Run, Study, load
from reparam_suite.data import Arrays, Digits
from reparam_suite.estimators import Pathwise
from reparam_suite.models import GaussianVAE

SPACE = {"learning_rate": FloatDistribution(1e-3, 1e-2, log=True), "latent_size": IntDistribution(2, 4)}


def small(learning_rate, latent_size, seed):
    def make_model():
        return GaussianVAE(
            event_shape=(64,),
            latent_size=latent_size,
            hidden_sizes=(8,),
            learning_rate=learning_rate,
            estimator=Pathwise(),
        )

    return Run(make_model, Digits(batch_size=300), max_steps=6, seed=seed)


def make_run(learning_rate, latent_size, seed):
    return small(learning_rate, latent_size, seed)


def breaking(how, seed):
    if how == "raises":
        raise ValueError("not with me")
    return small(1e30 if how == "diverges" else 1e-3, 2, seed)


ROWS = np.eye(64, dtype=np.float32)


def of_a_file(latent_size, seed):
    model = GaussianVAE(event_shape=(64,), latent_size=latent_size, hidden_sizes=(8,))
    return Run(model, Arrays(path="rows.npz", batch_size=16), max_steps=2, seed=seed)


def study(**changes):
    given = {"space": SPACE, "num_trials": 3, "name": "s", "sampler": RandomSampler(seed=1)} | changes
    return Study(given.pop("make_run", make_run), **given)


@pytest.fixture
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def searched(folder):
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        return study().run()


def test_the_frame_has_a_row_for_each_trial(searched):
    frame = searched.frame
    assert list(frame["trial"]) == [0, 1, 2]
    assert list(frame["state"]) == ["COMPLETE"] * 3
    assert searched.trained == 3
    assert list(frame["seed"]) == [0, 1, 2]
    assert frame["learning_rate"].between(1e-3, 1e-2).all()
    assert frame["learning_rate"].nunique() == 3
    best = frame.loc[frame["val/elbo_best"].idxmax()]
    assert searched.best_run_id == best["run_id"]
    assert searched.best_params == {"learning_rate": best["learning_rate"], "latent_size": best["latent_size"]}
    assert "optimization_history" in searched.figures()


def test_a_second_call_trains_nothing_and_more_trials_are_added(searched, folder, monkeypatch):
    monkeypatch.chdir(folder)
    again = study().run()
    assert again.trained == 0
    assert again.frame.equals(searched.frame)
    more = study(num_trials=4).run()
    assert more.trained == 1
    assert more.frame[:3].equals(searched.frame)
    assert more.frame["learning_rate"].nunique() == 4  # although the sampler has a seed


@pytest.mark.usefixtures("undrawn")
def test_the_run_of_a_trial_is_the_one_that_make_run_makes(searched, folder, monkeypatch):
    monkeypatch.chdir(folder)
    row = searched.frame.iloc[1]
    run = make_run(row["learning_rate"], int(row["latent_size"]), int(row["seed"]))
    assert run.fit().metrics["val/elbo_best"] == row["val/elbo_best"]
    assert load(row["run_id"]).latent_size == row["latent_size"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"space": SPACE | {"latent_size": IntDistribution(2, 5)}},
            "space.latent_size.attributes.high there is 4, here 5",
        ),
        ({"direction": "minimize"}, "direction there is maximize, here minimize"),
        ({"objective": "val/elbo"}, "objective there is val/elbo_best, here val/elbo"),
        ({"make_run": small}, "make_run there is make_run ("),
    ],
)
def test_another_study_of_the_same_name_is_refused_with_the_differences(searched, folder, monkeypatch, changes, told):
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError, match="study s is in ") as error:
        study(**changes).run()
    assert told in str(error.value)
    assert str(error.value).count(" there is ") == 1


def test_two_workers_run_the_trials_of_one(searched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = study(workers=2).run().frame
    assert frame.drop(columns="run_id").equals(searched.frame.drop(columns="run_id"))


@pytest.mark.usefixtures("_empty_folder")
def test_a_trial_that_breaks_counts_has_its_reason_and_ends_nothing(caplog):
    space = {"how": CategoricalDistribution(["good", "raises", "diverges"])}
    with caplog.at_level(logging.CRITICAL):
        result = study(make_run=breaking, space=space, num_trials=8).run()
    frame = result.frame
    assert len(frame) == result.trained == 8
    assert set(frame["how"]) == {"good", "raises", "diverges"}
    for _, row in frame.iterrows():
        if row["how"] == "good":
            assert row["state"] == "COMPLETE"
            assert pd.isna(row["reason"])
            continue
        assert row["state"] == "FAIL"
        assert math.isnan(row["val/elbo_best"])
        assert ("not with me" in row["reason"]) == (row["how"] == "raises")
        assert pd.isna(row["run_id"]) == (row["how"] == "raises")


@pytest.mark.usefixtures("_empty_folder")
def test_a_study_in_which_all_trials_are_pruned_has_no_best(tmp_path):
    seen = ThresholdPruner(lower=0.0)
    result = study(pruner=seen, num_trials=1).run()
    assert list(result.frame["state"]) == ["PRUNED"]
    assert "where val/elbo was -" in result.frame["reason"][0]
    assert result.best_run_id is None
    assert result.best_params is None
    assert study(pruner=seen, num_trials=1).run().trained == 0


def test_an_objective_that_no_run_has_is_refused_before_anything_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"objective: .* got val/elbow, did you mean val/elbo\?"):
        study(objective="val/elbow").run()
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_empty_folder")
def test_replaced_data_are_refused_before_another_trial_is_begun():
    given = {"make_run": of_a_file, "space": {"latent_size": IntDistribution(2, 3)}}
    np.savez("rows.npz", x_train=ROWS)
    study(**given, num_trials=1).run()
    np.savez("rows.npz", x_train=1.0 - ROWS)
    assert study(**given, num_trials=1).run().trained == 0
    told = r"^data: expected those of the earlier trials of s, of digest \w{16}, got Arrays-rows of digest \w{16}: they"
    with pytest.raises(ValueError, match=told):
        study(**given, num_trials=2).run()
    np.savez("rows.npz", x_train=ROWS)
    assert list(study(**given, num_trials=2).run().frame["state"]) == ["COMPLETE"] * 2


@pytest.mark.usefixtures("_empty_folder")
def test_what_cannot_be_sent_trains_here_and_says_so(caplog):
    result = study(
        make_run=lambda learning_rate, latent_size, seed: make_run(learning_rate, latent_size, seed),
        workers=2,
        num_trials=1,
    ).run()
    assert result.trained == 1
    assert "trials run in this process" in caplog.text


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"num_trials": 0}, ValueError, "num_trials: expected an integer of at least 1, got 0"),
        ({"workers": 0}, ValueError, "workers: expected an integer of at least 1, got 0"),
        ({"direction": "up"}, ValueError, "direction: expected maximize or minimize, got up"),
        ({"space": {}}, ValueError, "space: expected at least one argument"),
        ({"space": {"learning_rate": [1, 2]}}, TypeError, "space: learning_rate: expected one of optuna.distributions"),
        ({"space": {"rate": IntDistribution(1, 2)}}, TypeError, "make_run: expected a function of rate, seed"),
        ({"make_run": 3}, TypeError, "make_run: expected a function that makes a run, got 3"),
        (
            {"objective": "test/elbo", "pruner": MedianPruner()},
            ValueError,
            "pruner: expected an objective that has a value at each validation, got test/elbo",
        ),
        (
            {"sampler": GridSampler({"a": [1]})},
            ValueError,
            "sampler: expected a search_space of latent_size, learning_ra",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_at_construction(changes, error, told):
    with pytest.raises(error) as raised:
        study(**changes)
    assert told in str(raised.value)
