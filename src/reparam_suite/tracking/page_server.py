"""MLflow's page, served on this machine and for this machine alone."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import final
from urllib.request import urlopen

from reparam_suite.tracking.settings import TrackingError

_LOOPBACK = "127.0.0.1"
_PATIENCE = 120.0
"""Seconds that the server may take to start, on a busy machine."""


@final
@dataclass(frozen=True)
class Served:
    """A page that is served.

    Args:
        address: without a path.
        wait: returns when the server has ended.
    """

    address: str
    wait: Callable[[], object]


@contextmanager
def page_server(store_uri: str, artifacts: Path, port: int | None = None) -> Iterator[Served]:
    """Serves the page of a store. The server ends with this context.

    Args:
        store_uri: of the store.
        artifacts: the directory of its artifacts.
        port: on this machine; a free one by default.

    Raises:
        TrackingError: if the server ends instead of starting, or does not answer.
    """
    chosen = free_port() if port is None else port
    name = host_name()
    hosts = [f"{host}:{chosen}" for host in dict.fromkeys([name, "localhost", _LOOPBACK])]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", _LOOPBACK, "--port", str(chosen), "--workers", "1"),
        *("--artifacts-destination", str(artifacts)),
        *("--allowed-hosts", ",".join(hosts), "--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts)),
    ]
    # A URI may have a password, and everybody can read command lines. Without the other variables: ten processes, and
    # usage data sent to MLflow's makers.
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": store_uri,
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=told, start_new_session=True)
        try:
            if not _answers(process, chosen):
                told.seek(0)
                lines = told.read().decode(errors="replace").strip().splitlines()
                reason = re.sub(r"^\S+ \S+ (INFO|ERROR)[: ]*", "", lines[-1]) if lines else "no answer"
                raise TrackingError(f"MLflow's server on port {chosen} did not start: {reason}")
            yield Served(f"http://{name}:{chosen}", process.wait)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def host_name() -> str:
    """The name of this machine in addresses of the page.

    MLflow opens its assistant over a third of the page where the host is localhost or 127.0.0.1. Browsers take every
    name that ends in .localhost for this machine, save Safari.
    """
    return _LOOPBACK if sys.platform == "darwin" else "runs.localhost"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind((_LOOPBACK, 0))
        port: int = free.getsockname()[1]
        return port


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError, HTTPException), urlopen(f"http://{_LOOPBACK}:{port}/health", timeout=5):
            return True
        time.sleep(0.2)
    return False
