import http.server
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from tests.lives import Life

from reparam_suite.tracking import Store, TrackingError, TrackingSettings, quiet


def test_importing_the_package_does_not_import_mlflow():
    script = "import sys, reparam_suite.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_without_a_uri_the_environment_counts_and_then_the_root(monkeypatch):
    assert TrackingSettings().resolved_uri() == "sqlite:///mlruns/mlflow.db"
    assert TrackingSettings(root=Path("/x")).resolved_uri() == "sqlite:////x/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert TrackingSettings().resolved_uri() == "http://server"
    assert TrackingSettings(uri="sqlite:///a.db").resolved_uri() == "sqlite:///a.db"


def test_a_root_may_be_a_text_and_nothing_but_a_path():
    assert TrackingSettings(root="x").root == Path("x")
    with pytest.raises(TypeError, match=r"^tracking\.root: expected a path, got 3$"):
        TrackingSettings(root=3)


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


@pytest.mark.parametrize("at", ["initialize_tables", "SqlAlchemyStore"])
def test_nothing_is_left_of_a_database_that_could_not_be_made(database, tmp_path, monkeypatch, at):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    if at == "initialize_tables":
        monkeypatch.setattr("reparam_suite.tracking.database.initialize_tables", full)
    else:
        made = lambda engine: shutil.copy(database, engine.url.database)  # noqa: E731
        monkeypatch.setattr("reparam_suite.tracking.database.initialize_tables", made)
        monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore", full)
    with pytest.raises(TrackingError, match=r"mlflow\.db cannot be used: database or disk is full"):
        Store.open(TrackingSettings(root=tmp_path / "a" / "mlruns"))
    assert list(tmp_path.iterdir()) == []


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


def open_and_run(root: Path, name: str) -> None:
    store = Store.open(TrackingSettings(root=root))
    store.start_run(name=name, parameters={}, tags={}).close("FINISHED")


@pytest.mark.slow
def test_processes_that_open_a_fresh_store_at_once_share_it(tmp_path):
    root = tmp_path / "mlruns"
    processes = [Life.of(open_and_run, root, name, directory=tmp_path, name=name) for name in "abc"]
    for process in processes:
        assert (process.end(), process.told()) == (0, "")
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("reparam_suite")
    assert sorted(run.info.run_name for run in client.search_runs([experiment.experiment_id])) == ["a", "b", "c"]


def test_a_creation_that_was_killed_does_not_matter(tmp_path):
    (tmp_path / "mlflow.db.creating").write_bytes(b"half a database")
    (tmp_path / "mlflow.db.creating-journal").write_bytes(b"its journal")
    Store.open(TrackingSettings(root=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_an_older_schema_is_migrated_after_a_copy(tmp_path):
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = _get_alembic_config(uri)
    scripts = ScriptDirectory.from_config(config)
    older = scripts.get_revision(scripts.get_current_head()).down_revision
    engine = create_sqlalchemy_engine(uri)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    engine.dispose()

    run = Store.open(TrackingSettings(root=tmp_path)).start_run(name="run", parameters={}, tags={})
    run.close("FINISHED")
    (copy,) = tmp_path.glob(f"mlflow.db.{older}.*")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(older,)]
    connection.close()


def test_an_experiment_is_found_again_and_a_deleted_one_is_named(settings):
    store = Store.open(settings)
    assert Store.open(settings).experiment_id == store.experiment_id
    MlflowClient(f"sqlite:///{settings.root}/mlflow.db").delete_experiment(store.experiment_id)
    with pytest.raises(TrackingError, match=r"--tracking\.experiment reparam_suite was deleted in MLflow"):
        Store.open(settings)


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "file:///tmp/mlruns", "file:./mlruns"])
def test_the_file_store_is_refused_by_name(tmp_path, uri):
    root = tmp_path / "mlruns"
    with pytest.raises(TrackingError, match=r"expected sqlite:///FILE, http.* got .*, MLflow's file store"):
        Store.open(TrackingSettings(uri=uri, root=root))
    assert not root.exists()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("databricks://profile", r"expected sqlite.* got databricks://profile$"),
        ("ftp://ada:secret@server", r"got ftp://\*\*\*@server$"),
        ("sqlite://", "expected sqlite:///FILE, got sqlite://$"),
        ("sqlite:///:memory:", "expected sqlite:///FILE, got sqlite:///:memory:$"),
    ],
)
def test_other_uris_are_refused(tmp_path, uri, message):
    root = tmp_path / "mlruns"
    with pytest.raises(TrackingError, match=message):
        Store.open(TrackingSettings(uri=uri, root=root))
    assert not root.exists()


def test_a_root_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrackingError, match=r"--tracking\.root: the directory .*file/mlruns cannot be written: Not a"):
        Store.open(TrackingSettings(root=tmp_path / "file" / "mlruns"))


def test_a_root_that_even_the_superuser_cannot_write_is_refused():
    with pytest.raises(TrackingError, match=r"--tracking\.root: the directory /proc/mlruns cannot be written"):
        Store.open(TrackingSettings(root=Path("/proc/mlruns")))


def test_a_database_that_cannot_be_written_leaves_no_root_behind(tmp_path):
    root = tmp_path / "a" / "b"
    with pytest.raises(TrackingError, match=r"--tracking\.uri: the directory /proc/x cannot be written"):
        Store.open(TrackingSettings(uri="sqlite:////proc/x/mlflow.db", root=root))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path):
    file = tmp_path / "mlflow.db"
    file.write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(TrackingError, match=r"mlflow\.db is no sqlite database that can be written: file is not"):
        Store.open(TrackingSettings(root=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]  # bound but not listening: it refuses


def refused_in_time(settings, message):
    start = time.monotonic()
    with pytest.raises(TrackingError, match=message) as caught:
        Store.open(settings)
    assert time.monotonic() - start < 90  # MLflow alone tries for 100 s and more
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not settings.root.exists()


@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql+pymysql"])
def test_a_port_that_refuses(tmp_path, port, scheme):
    uri = f"{scheme}://ada:secret@127.0.0.1:{port}"
    refused_in_time(
        TrackingSettings(uri=uri, root=tmp_path / "mlruns"),
        rf"--tracking\.uri {scheme.replace('+', '.')}://\*\*\*@127\.0\.0\.1:{port} does not answer"
        "( as an MLflow server)?: Connection refused$",
    )


def test_a_server_that_accepts_and_never_replies(tmp_path, monkeypatch):
    monkeypatch.setattr(quiet, "OPENING_TIMEOUT", 1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://ada:secret@127.0.0.1:{silent.getsockname()[1]}"
        refused_in_time(TrackingSettings(uri=uri, root=tmp_path / "mlruns"), "does not answer as an MLflow server")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "120"


def test_a_server_that_is_none_of_mlflow(tmp_path):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_address[1]}"
        refused_in_time(TrackingSettings(uri=uri, root=tmp_path / "mlruns"), "does not answer as an MLflow server")
        server.shutdown()


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
