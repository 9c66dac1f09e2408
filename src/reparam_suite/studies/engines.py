"""Where the workers of a command run: an engine starts them, replaces those that die, and ends them."""

import multiprocessing
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Self, final

from reparam_suite.studies.command import StudyCommand
from reparam_suite.studies.queue import Queue
from reparam_suite.studies.storage import patiently
from reparam_suite.studies.workers import serve, work
from reparam_suite.training import StopSignals
from reparam_suite.commands.usage import UsageError

# Seconds between two looks at all workers.
_PERIOD = 0.5

# Seconds that a worker has for the step, the validation and the checkpoint that a stop finds it in.
_LAST_WISH = 60.0

# Workers that died, for each of those asked for, in whose place another one is started.
_REPLACEMENTS = 3


@final
class WorkersLost(Exception):  # noqa: N818 - it says what happened
    """No worker is left, and the study is not finished."""


class Engine(ABC):
    """Runs the workers of a command; inside its context, and only there, it can.

    Args:
        command: with the number of workers.

    Raises:
        UsageError: on entering, if the command cannot have its workers here. Nothing was created then.
    """

    def __init__(self, command: StudyCommand) -> None:
        self.command = command

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - most have nothing to let go of
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    @abstractmethod
    def run(self, queue: Queue, signals: StopSignals, watch: Callable[[], None], tell: Callable[[str], None]) -> None:
        """Runs workers until the study is finished.

        Args:
            queue: of the trials, as this process sees it.
            signals: a stop lets workers finish the step in progress.
            watch: is called now and then.
            tell: is called with a line for each worker that died.

        Raises:
            Stopped: if a signal ended it; all workers have ended then.
            WorkersLost: if the study is not finished and all have died.
        """


@final
class ThisProcess(Engine):
    """One worker, in the process of the command."""

    def run(
        self,
        queue: Queue,
        signals: StopSignals,
        watch: Callable[[], None],
        tell: Callable[[str], None],  # noqa: ARG002
    ) -> None:
        """Looks around after each trial."""
        work(self.command, queue, signals, watch)


class Worker(ABC):
    """One worker, as the process that started it sees it.

    Attributes:
        name: for people.
    """

    name: str

    @abstractmethod
    def has_ended(self, patience: float) -> bool:
        """Whether it has, which it is given `patience` seconds for."""

    @abstractmethod
    def death(self) -> str | None:
        """What it died of, once it has ended; None if it ended as it should."""

    @abstractmethod
    def stop(self) -> None:
        """Has it end after the step in progress."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it."""


class Crew(Engine):
    """Several workers, elsewhere."""

    @abstractmethod
    def start(self, number: int) -> Worker:
        """A worker that has begun; `number` is its own."""

    def run(
        self,
        queue: Queue,
        signals: StopSignals,
        watch: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Looks around twice a second."""
        num_workers = self.command.workers
        workers: list[Worker] = []
        died: list[str] = []
        try:
            signals.wait()
            while len(workers) < num_workers:
                workers.append(self.start(len(workers)))
            signals.wait_no_longer()
            # Those that are left when the study is finished are idle, or wait for a place in a cluster.
            while workers and not patiently(queue.finished):
                signals.wait()  # Ray's calls bear no exception from a signal, and no record is left half done
                for worker in list(workers):
                    if not worker.has_ended(_PERIOD / len(workers)):
                        continue
                    workers.remove(worker)
                    if (death := worker.death()) is None:
                        continue
                    died.append(f"{worker.name} {death}")
                    tell(died[-1])
                    if len(died) <= _REPLACEMENTS * num_workers:
                        workers.append(self.start(num_workers - 1 + len(died)))
                watch()
                signals.wait_no_longer()
        finally:
            _end(workers)
        if not patiently(queue.finished):
            raise WorkersLost(f"no worker is left: {'; '.join(dict.fromkeys(died)) or 'all were told to end'}")


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        worker.stop()
    deadline = time.monotonic() + _LAST_WISH
    for worker in workers:
        if not worker.has_ended(max(0.0, deadline - time.monotonic())):
            worker.kill()


@final
class LocalProcesses(Crew):
    """Processes of this machine."""

    def start(self, number: int) -> Worker:
        """A process that imports everything anew."""
        # Ctrl-C reaches every process of the terminal: the workers leave it to the launcher, which ends them.
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(self.command, number))
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        return _Process(process)


@final
class _Process(Worker):
    def __init__(self, process: SpawnProcess) -> None:
        self.name = f"worker {process.pid}"
        self._process = process

    def has_ended(self, patience: float) -> bool:
        self._process.join(patience)
        return self._process.exitcode is not None

    def death(self) -> str | None:
        code = self._process.exitcode
        if not code:
            return None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def engine_of(command: StudyCommand) -> Engine:
    """The engine that a command asks for.

    Raises:
        UsageError: if it is not installed.
    """
    if command.engine == "local":
        return ThisProcess(command) if command.workers == 1 else LocalProcesses(command)
    try:
        from reparam_suite.studies.on_ray import RayTasks
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError("--engine ray: Ray is not installed; to have it: pip install 'reparam_suite[ray]'") from error
    return RayTasks(command)
