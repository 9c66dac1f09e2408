"""Forks of a process in the place of programs that it would start: they have imported everything already."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing import forkserver, util
from multiprocessing.connection import Connection, wait
from threading import Lock
from types import SimpleNamespace, TracebackType
from typing import Any
from unittest import mock

from lightning.fabric.utilities.rank_zero import rank_zero_only

_context = multiprocessing.get_context("fork")


def serve_workers() -> None:
    """Starts the server from which the workers of this process are forked, as a fork of this process.

    It is called before the process has any threads, and what is patched before is patched in workers.
    """
    forkserver.set_forkserver_preload([])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as workers are started
    try:
        with mock.patch.object(util, "spawnv_passfds", _fork):
            forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _fork(path: bytes, args: Sequence[str], passed: Sequence[int]) -> int:
    if pid := os.fork():
        return pid
    try:
        kept = {0, 1, 2, *passed}
        for number in {int(name) for name in os.listdir("/proc/self/fd")} - kept:
            try:
                os.close(number)
            except OSError:
                continue
        exec(args[-1], {})
    finally:
        os._exit(0)


class StandIns:
    """Children of this process for the further ones of a training on several devices, which is started inside.

    Args:
        number: how many are started at most.
    """

    def __init__(self, number: int) -> None:
        self._waiting = [StandIn() for _ in range(number)]
        self._patch: Any = None

    def __enter__(self) -> None:
        if self._waiting:
            from reparam_suite.training import replicas

            self._patch = mock.patch.object(replicas, "subprocess", SimpleNamespace(Popen=self._started))
            self._patch.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._patch is not None:
            self._patch.stop()
        for waiting in self._waiting:
            waiting.dismiss()  # all of them first: each has a copy of the connections to those before it
        for waiting in self._waiting:
            waiting.wait()

    def _started(self, command: Sequence[str], *, env: Mapping[str, str]) -> "StandIn":
        taken = self._waiting.pop(0)
        taken.begin(command, env)
        return taken


class StandIn:
    """A child that waits for a command; to who starts it, it is what `subprocess.Popen` makes."""

    def __init__(self) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self._lock = Lock()  # two threads wait for it
        self._process = _context.Process(target=_stand_by, args=(self._ours, theirs))
        self._process.start()
        theirs.close()

    def begin(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._ours.send((command, dict(environment)))

    def dismiss(self) -> None:
        self._ours.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        with self._lock:
            return self._process.exitcode

    def wait(self) -> int | None:
        wait([self._process.sentinel])
        return self.poll()

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


def _stand_by(ours: Connection, theirs: Connection) -> None:
    ours.close()
    try:
        command, environment = theirs.recv()
    except EOFError:
        return
    os.environ.clear()
    os.environ.update(environment)
    rank_zero_only.rank = int(environment["LOCAL_RANK"])  # what Lightning finds when it is imported
    python, option, module, *args = command
    assert (python, option) == (sys.executable, "-m")
    raise SystemExit(import_module(module).main(args))
