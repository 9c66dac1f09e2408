"""Tracking servers in processes of their own, and ways for them to fail."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path


class Server:
    """A real `mlflow server` on loopback, started by a command line for bash."""

    def __init__(
        self, command: str, port: int, *, environment: Mapping[str, str] | None = None, directory: Path | None = None
    ) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self._command, self._environment, self._directory = command, environment, directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", self._command],
            cwd=self._directory,
            env=self._environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
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
