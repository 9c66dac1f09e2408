import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.tracking.servers import Server

from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.tracking.process import Process


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # or what a test sets would stay
    monkeypatch.delenv("MLFLOW_TRACKING_URI")


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


@pytest.fixture
def serve(free_port):
    """Starts the server whose command line is given, on a free port."""
    started = []

    def serve(command: str) -> Server:
        started.append(Server(f"{command} --host 127.0.0.1 --port {free_port}", free_port))
        started[-1].start()
        return started[-1]

    yield serve
    for server in started:
        server.kill()


@pytest.fixture
def gone() -> Process:
    """A process of this machine that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = replace(Process.this(), pid=child.pid, started=psutil.Process(child.pid).create_time())
    child.communicate(b"\n", timeout=800)
    return process
