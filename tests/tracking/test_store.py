import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from reparam_suite.tracking import Store, TrackingError, TrackingSettings


def test_importing_the_package_does_not_import_mlflow():
    script = "import sys, reparam_suite.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_fresh_store_is_made_with_nothing_printed(tmp_path, capfd):
    root = tmp_path / "with space" / "mlruns"
    store = Store.open(TrackingSettings(root=root))
    assert sorted(path.name for path in root.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    run = store.start_run(name="run", parameters={}, tags={}, config_file="seed: 0\n")
    run.close("FINISHED")
    assert run.artifact_dir == root / "artifacts" / run.run_id / "artifacts"
    assert (run.artifact_dir / "config.yaml").read_text() == "seed: 0\n"
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


@pytest.mark.parametrize("name", ["50%20", "what?", "no#1 é"])
def test_a_directory_may_have_any_name(database, tmp_path, monkeypatch, name):
    (tmp_path / name / "mlruns").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / name)
    shutil.copy(database, "mlruns/mlflow.db")
    store = Store.open(TrackingSettings())
    run = store.start_run(name="run", parameters={}, tags={}, config_file="seed: 0\n")
    run.log_metrics({"a": 1.0}, step=2)
    run.close("FINISHED")
    assert store.history(run.run_id, "a") == [(2, 1.0)]
    assert store.histories([run.run_id], "a") == {run.run_id: [(2, 1.0)]}
    fetched = store.fetch_artifact(run.run_id, "config.yaml", tmp_path / "fetched")
    assert fetched.read_text() == "seed: 0\n"
    assert run.artifact_dir == Path.cwd() / "mlruns/artifacts" / run.run_id / "artifacts"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "fetched"])


def test_an_experiment_is_made_with_its_first_run(settings):
    named = replace(settings, experiment="another")
    store = Store.open(named)
    assert list(store.recover()) == store.runs() == store.runs_named("run") == []
    assert "another" not in Store.experiments(settings)
    store.start_run(name="run", parameters={}, tags={}).close("FINISHED")
    assert "another" in Store.experiments(settings)
    assert [run.name for run in store.runs()] == ["run"]


def test_a_spool_that_cannot_be_made_leaves_no_run(store, monkeypatch):
    """A read-only one, say."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("reparam_suite.tracking.store.tempfile.TemporaryDirectory", refuse)
    with pytest.raises(TrackingError, match=r"no run could be started in sqlite:.*: Permission denied"):
        store.start_run(name="run", parameters={}, tags={})
    client = MlflowClient(f"sqlite:///{store.root}/mlflow.db")
    assert client.search_runs([store.experiment_id], run_view_type=ViewType.ALL) == []


def test_a_relative_root_does_not_depend_on_where_the_process_goes_later(database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mlruns").mkdir()
    shutil.copy(database, "mlruns/mlflow.db")
    store = Store.open(TrackingSettings())
    run = store.start_run(name="run", parameters={}, tags={})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run.log_text("a", "a.txt")
    run.close("FINISHED")
    assert (tmp_path / "mlruns/artifacts" / run.run_id / "artifacts/a.txt").read_text() == "a"
    assert list(elsewhere.iterdir()) == []


def test_a_run_that_cannot_be_started_is_an_error_and_leaves_none(store, monkeypatch):
    from reparam_suite.tracking.records import Parameters

    def send(self, to):
        raise OSError("disk full")

    monkeypatch.setattr(Parameters, "send", send)
    with pytest.raises(TrackingError, match=r"no run could be started in sqlite:.*: disk full"):
        store.start_run(name="run", parameters={"a": 1}, tags={})
    client = MlflowClient(f"sqlite:///{store.root}/mlflow.db")
    assert client.search_runs([store.experiment_id]) == []


def test_a_run_that_does_not_exist(store):
    assert store.find_run("0" * 32) is None
    with pytest.raises(TrackingError, match="there is no run 000"):
        store.resume_run("0" * 32)


def test_the_ui_command_names_the_store(store, settings):
    assert store.ui_command == f"python -m reparam_suite.ui --tracking.root {settings.root}"


def test_an_experiment_is_described(store):
    experiment = MlflowClient(f"sqlite:///{store.root}/mlflow.db").get_experiment(store.experiment_id)
    link = f"[Training curves](#/experiments/{store.experiment_id}/runs?workflowType=machine_learning"
    assert link in experiment.tags["mlflow.note.content"]
    assert "mlflow.sharedViewState.curves" in experiment.tags


def test_every_option_is_read_back_from_a_run(store):
    run = store.start_run(name="run", parameters={"a": 1}, tags={})
    run.log_options({"model": {"size": 3}, "seed": 0})
    run.log_options({"model": {"size": 4}, "seed": 0})
    run.close("FINISHED")
    store.start_run(name="other", parameters={"a": 2}, tags={}).close("FINISHED")
    first, second = store.runs()
    assert (first.options, first.parameters) == ({"model.size": "4", "seed": "0"}, {"a": "1"})
    assert second.options == second.parameters == {"a": "2"}


def test_a_password_reaches_nothing_that_is_recorded(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    uri = "postgresql://ada:secret@db/runs"
    run = store.start_run(
        name="run",
        parameters={"tracking": {"uri": uri, "other": "hunter2"}},
        tags={"uri": uri},
        config_file=f"tracking:\n  uri: {uri}\n",
    )
    run.log_hyperparams({"again": uri})
    run.set_tags({"later": uri})
    run.log_dict({"uri": uri}, "uri")
    run.log_dataset("Digits", "0", uri, {}, "training")
    run.close("FINISHED")
    everything = str(store.run(run.run_id).to_dictionary())
    everything += "".join(path.read_text() for path in run.artifact_dir.rglob("*") if path.is_file())
    assert "postgresql://***@db/runs" in everything
    assert "secret" not in everything
    assert "hunter2" not in everything
