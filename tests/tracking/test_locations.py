"""A root that was moved or copied: files are found and written below the one that is given."""

import logging
import os
import shutil
from dataclasses import replace

import mlflow
import pytest
import torch
from mlflow import MlflowClient
from tests.launching import mlflow_at
from torch import nn

from reparam_suite.tracking import Store, TrackingSettings, locations


def a_run(settings, text: str = "seed: 0\n", *, model: bool = False):
    run = Store.open(settings).start_run(name="run", parameters={}, tags={}, config_file=text)
    if model:
        run.log_model(nn.Linear(4, 2), torch.ones(3, 4))
    run.close("FINISHED")
    return run


def opened(settings, caplog) -> tuple[Store, list[str]]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        store = Store.open(settings)
    return store, [record.getMessage() for record in caplog.records]


def read(store, run_id, folder) -> str:
    return store.fetch_artifact(run_id, "config.yaml", folder).read_text()


def moved(before, after, num_runs: str) -> str:
    return (
        f"{after} was moved or copied: the artifacts of {num_runs}, recorded in {before}/artifacts, are now expected "
        f"in {after}/artifacts"
    )


def test_a_moved_root_is_followed_once_with_its_runs_models_and_experiment(settings, tmp_path, caplog):
    old = a_run(settings, model=True)
    there = settings.root.rename(tmp_path / "elsewhere")
    settings_there = replace(settings, root=there)
    store, told = opened(settings_there, caplog)
    assert told == [moved(settings.root, there, "1 run")]
    assert opened(settings_there, caplog)[1] == []
    assert read(store, old.run_id, tmp_path / "fetched") == "seed: 0\n"
    new = a_run(settings_there)
    assert new.artifact_dir == there / "artifacts" / new.run_id / "artifacts"
    assert (new.artifact_dir / "config.yaml").is_file()
    assert not settings.root.exists(), "the old place is not made again"
    uri = f"sqlite:///{there}/mlflow.db"
    client = MlflowClient(uri)
    assert client.get_experiment(store.experiment_id).artifact_location == (there / "artifacts").as_uri()
    assert [file.path for file in client.list_artifacts(old.run_id)] == ["config.yaml"]
    with mlflow_at(uri):
        assert isinstance(mlflow.pytorch.load_model(f"runs:/{old.run_id}/model"), nn.Module)


def test_a_copy_of_a_colleagues_folder_is_the_own_one(settings, tmp_path, caplog):
    old = a_run(settings)
    mine = tmp_path / "mine"
    shutil.copytree(settings.root, mine)
    theirs = sorted(settings.root.rglob("*"))
    store, told = opened(replace(settings, root=mine), caplog)
    assert told == [moved(settings.root, mine, "1 run")]
    assert store.run(old.run_id).info.artifact_uri == (mine / "artifacts" / old.run_id / "artifacts").as_uri()
    resumed = store.resume_run(old.run_id)
    resumed.log_text("more", "more.txt")
    resumed.close("FINISHED")
    a_run(replace(settings, root=mine))
    assert sorted(settings.root.rglob("*")) == theirs


def test_a_relative_root_and_a_link_to_it_are_the_same_place(settings, tmp_path, caplog, monkeypatch):
    old = a_run(settings)
    (tmp_path / "link").symlink_to(settings.root)
    monkeypatch.chdir(tmp_path)
    for root in ("mlruns", "link", tmp_path / "link"):
        store, told = opened(TrackingSettings(root=root), caplog)
        assert told == []
        assert store.run(old.run_id).info.artifact_uri == old.artifact_uri


def test_a_database_beside_two_roots_keeps_the_files_of_each(tmp_path, database, caplog):
    file = tmp_path / "mlflow.db"
    shutil.copy(database, file)
    first, second = (TrackingSettings(uri=f"sqlite:///{file}", root=tmp_path / name) for name in ("one", "two"))
    one, two = a_run(first, "one", model=True), a_run(second, "two", model=True)
    for settings in (first, second):
        store, told = opened(settings, caplog)
        assert told == []
        assert read(store, one.run_id, tmp_path / "fetched") == "one"
        assert read(store, two.run_id, tmp_path / "fetched") == "two"
    assert two.artifact_dir == tmp_path / "two" / "artifacts" / two.run_id / "artifacts"
    # What has moved is found by the settings of the new place alone.
    third = replace(second, root=second.root.rename(tmp_path / "three"))
    store, told = opened(third, caplog)
    assert told == [moved(tmp_path / "two", tmp_path / "three", "1 run")]
    assert read(store, one.run_id, tmp_path / "fetched") == "one"
    assert read(store, two.run_id, tmp_path / "fetched") == "two"
    assert not (tmp_path / "two").exists()


def test_a_place_that_may_not_be_looked_at_is_not_there(settings, tmp_path, caplog, monkeypatch):
    """As another user's home."""
    old = a_run(settings)
    shutil.copytree(settings.root, tmp_path / "mine")
    real = os.stat

    def stat(path, *arguments, **options):
        if str(path).startswith(str(settings.root / "artifacts")):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(locations.os, "stat", stat)
        store, told = opened(replace(settings, root=tmp_path / "mine"), caplog)
    assert told == [moved(settings.root, tmp_path / "mine", "1 run")]
    assert read(store, old.run_id, tmp_path / "fetched") == "seed: 0\n"


@pytest.mark.parametrize("location", ["mlflow-artifacts:/17", "s3://bucket/artifacts"])
def test_what_is_on_no_disk_of_this_machine_stays(settings, location):
    client = MlflowClient(f"sqlite:///{settings.root}/mlflow.db")
    Store.open(settings)
    made = client.create_experiment("elsewhere", location)
    store = Store.open(replace(settings, experiment="elsewhere"))
    assert client.get_experiment(made).artifact_location == location
    run = store.start_run(name="run", parameters={}, tags={})
    assert run.artifact_uri == f"{location}/{run.run_id}/artifacts"
    run.close("FINISHED")
