"""Worker processes of this machine, forked from a server that has imported everything once."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from typing import Any, final

import torch
from typing_extensions import override

from reparam_suite.runtime.errors import StateError
from reparam_suite.runtime.fork_server import start_server
from reparam_suite.runtime.interruption import Ignored
from reparam_suite.workers.pool import Worker, WorkerPool


@final
class LocalProcesses(WorkerPool):
    """Worker processes of this machine, with one CPU thread each."""

    @override
    def prepare(self) -> None:
        start_server()

    def start(self, number: int) -> Worker:
        """A process that serves."""
        return LocalWorker.start(self.serve, number)


@final
class LocalWorker(Worker):
    """A worker process of this machine. Made by `start`.

    Attributes:
        name: by which people distinguish it from the others.
        sentinel: becomes ready for `multiprocessing.connection.wait` when the process ends.
    """

    def __init__(self, process: BaseProcess) -> None:
        self.name = f"worker {process.pid}"
        self.sentinel = process.sentinel
        self._process = process

    @classmethod
    def start(cls, target: Callable[..., None], *arguments: Any) -> "LocalWorker":
        """A process that calls `target`, in the working directory and with the environment of this one."""
        start_server()
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=_begin, args=(dict(os.environ), target, arguments))
        # Ctrl-C reaches every process of the terminal: workers leave it to the one that started them.
        with Ignored(signal.SIGINT):
            process.start()
        return cls(process)

    def has_ended(self, patience: float) -> bool:
        """Whether it has ended; waits for it `patience` seconds at most."""
        self._process.join(patience)
        return self._process.exitcode is not None

    def death(self) -> str | None:
        """The signal or the exit code; None if it ended as it should."""
        code = self._process.exitcode
        if not code:
            return None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def stop(self) -> None:
        """Sends SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Sends SIGKILL."""
        self._process.kill()
        self._process.join()


def check_main_guard() -> None:
    """Refuses to start work while a worker imports the user's script, which then has no main guard.

    Raises:
        RuntimeError: with the mend.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # multiprocessing's own sign of it
        raise StateError(MAIN_GUARD)


MAIN_GUARD = (
    "a script that starts workers is imported by each of them: expected the start under "
    '`if __name__ == "__main__":`, got it at the level of the module'
)


def _begin(environment: Mapping[str, str], target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # The server's environment is that of its own start.
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    target(*arguments)
    sys.stdout.flush()
