"""Tasks handed to warm processes one after the other; a task that fails, or kills its process, fails alone."""

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, final

from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.tracking import reason
from reparam_suite.training import Stopped, StopSignals
from reparam_suite.workers.local import MAIN_GUARD, LocalWorker
from reparam_suite.workers.pool import WorkersLost, end

Function = Callable[[Any, StopSignals], Any]
"""Does a task; the signals may stop it."""


@final
@dataclass(frozen=True)
class Outcome:
    """The end of a task.

    Args:
        index: of the task.
        value: that the function returned; None if it failed.
        error: the reason of a failure; None if there was none.
    """

    index: int
    value: Any = None
    error: str | None = None


def done_here(function: Function, index: int, task: Any, signals: StopSignals) -> Outcome:
    """A task done in this process.

    Raises:
        Stopped: if a signal ended it.
    """
    try:
        return Outcome(index, value=function(task, signals))
    except Stopped:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever one breaks, the next one may work
        return Outcome(index, error=f"{type(error).__name__}: {reason(error)}")


def completed(function: Function, tasks: Sequence[Any], *, num_workers: int) -> Generator[Outcome, None, None]:
    """The outcomes of tasks in the order in which they end; closing the iterator stops the workers.

    Args:
        function: is sent to each worker once.
        tasks: are sent one by one.
        num_workers: processes that work at once, each with one CPU thread.

    Raises:
        WorkersLost: if a worker ends before it can take a task.
    """
    waiting = list(enumerate(tasks))[::-1]
    handlers: list[_Handler] = []
    try:
        while waiting or handlers:
            while len(handlers) < min(num_workers, len(handlers) + len(waiting)) and _idle(handlers) < len(waiting):
                handlers.append(_Handler(function))
            ready = wait([handler.connection for handler in handlers])
            for handler in [handler for handler in handlers if handler.connection in ready]:
                if (outcome := handler.take()) is not None:
                    yield outcome
                if handler.alive and waiting:
                    handler.give(*waiting.pop())
                else:
                    handlers.remove(handler)
                    handler.dismiss()
    finally:
        for handler in handlers:
            handler.dismiss()
        end([handler.worker for handler in handlers])


def _idle(handlers: "Sequence[_Handler]") -> int:
    return sum(handler.task is None for handler in handlers)


@final
class _Handler:
    # One worker, and the number of the task that it has.
    def __init__(self, function: Function) -> None:
        self.connection, theirs = Pipe()
        self.worker = LocalWorker.start(_serve, theirs, function)
        theirs.close()
        self.task: int | None = None
        self.alive = True

    def give(self, index: int, task: Any) -> None:
        self.task = index
        with suppress(BrokenPipeError):  # it has died, which `take` finds out
            self.connection.send((index, task))

    def take(self) -> Outcome | None:
        # The outcome of its task; None from a worker that has begun and asks for the first one.
        try:
            outcome: Outcome | None = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.alive = False
            self.worker.has_ended(10.0)
            told = f"{self.worker.name} {self.worker.death() or 'ended'}"
            if self.task is None:
                raise WorkersLost(f"{told} before it had a task. If it says no reason: {MAIN_GUARD}") from None
            return Outcome(self.task, error=told)
        self.task = None
        return outcome

    def dismiss(self) -> None:
        self.connection.close()  # it ends when it looks for the next task


def _serve(connection: Connection, function: Function) -> None:
    with StopSignals() as signals, suppress(Stopped, EOFError), plain_warnings("reparam_suite"):
        connection.send(None)
        while True:
            index, task = connection.recv()
            connection.send(done_here(function, index, task, signals))
