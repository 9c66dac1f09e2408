"""Opening a store: what cannot be used is refused in time, by name, with nothing left behind."""

import http.server
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from reparam_suite.tracking import Store, TrackingError, TrackingSettings, quiet


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
