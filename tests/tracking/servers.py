"""Tracking servers in processes of their own, and ways for them to fail."""

import os
import random
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit


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
        deadline = time.monotonic() + 600
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


class Proxy:
    """Stands between client and server on loopback, and lets connections fail, also those that are open.

    Attributes:
        mode: what happens to data from now on: "pass", "refuse" all, "swallow" the answers, "cut" requests somewhere,
            "hold" all until the mode changes.
        failed: how many connections each of these has cost.
    """

    def __init__(self, server: str) -> None:
        self._server = urlsplit(server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._chance = random.Random(0)
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.mode = "pass"
        self.failed: Counter[str] = Counter()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection((self._server.hostname, self._server.port), 30) as to:
            there = threading.Thread(target=self._copy, args=(client, to, ("refuse", "cut")), daemon=True)
            there.start()
            self._copy(to, client, ("refuse", "swallow"))
            there.join()

    def _copy(self, source: socket.socket, target: socket.socket, failures: tuple[str, str]) -> None:
        left = self._chance.choice([100, 2_000, 100_000, 500_000])  # where a connection is cut
        with suppress(OSError):
            while data := source.recv(65536):
                while self.mode == "hold":
                    time.sleep(0.02)
                if (mode := self.mode) in failures:
                    left = left if mode == "cut" else 0
                    target.sendall(data[:left])
                    left -= len(data)
                    if left <= 0:
                        self.failed[mode] += 1
                        break
                else:
                    target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
