import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from reparam_suite.tracking import Store, TrackingSettings


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def database(tmp_path_factory) -> Path:
    """A database with a complete schema: making one takes two seconds."""
    root = tmp_path_factory.mktemp("template")
    Store.open(TrackingSettings(root=root, experiment="template"))
    return root / "mlflow.db"


@pytest.fixture
def settings(tmp_path, database) -> TrackingSettings:
    root = tmp_path / "mlruns"
    root.mkdir()
    shutil.copy(database, root / "mlflow.db")
    return TrackingSettings(root=root)


@pytest.fixture
def store(settings) -> Store:
    return Store.open(settings)


@pytest.fixture
def run(store):
    logger = store.start_run(name="run", parameters={}, tags={})
    yield logger
    logger.close("FINISHED")


@pytest.fixture
def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """A real `mlflow server` on loopback."""

    def __init__(self, command: str, port: int) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self._command = f"{command} --host 127.0.0.1 --port {port}"
        self._process = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            shell=True,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
            else:
                return
        raise AssertionError("mlflow server did not start")

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


@pytest.fixture
def serve(free_port):
    """Starts the server whose command line is given, on a free port."""
    started = []

    def serve(command: str) -> Server:
        started.append(Server(command, free_port))
        started[-1].start()
        return started[-1]

    yield serve
    for server in started:
        server.kill()
