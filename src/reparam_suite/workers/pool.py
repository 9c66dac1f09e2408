"""A pool of workers: processes that train run after run, replaced when they die and ended with the work."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self, final

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import StateError
from reparam_suite.training import StopSignals

Serve = Callable[[int], None]
"""The work of one worker, which is given its number: it returns when nothing is left to do, or a signal ends it."""

# Seconds between two looks at all workers.
_PERIOD = 0.5

# Seconds that a worker has, after a stop, to end the step in progress, validate and write a checkpoint.
_GRACE = 60.0

# Workers that died, for each of those asked for, in whose place another one is started.
_REPLACEMENTS = 3


@final
class WorkersLost(StateError):  # noqa: N818 - it says what happened
    """No worker is left, and work is."""


class Worker(ABC):
    """One worker, as the process that started it sees it.

    Attributes:
        name: by which people distinguish it from the others.
    """

    name: str

    @abstractmethod
    def has_ended(self, patience: float) -> bool:
        """Whether it has ended; waits for it `patience` seconds at most."""

    @abstractmethod
    def death(self) -> str | None:
        """The cause of its death, once it has ended; None if it ended as it should."""

    @abstractmethod
    def stop(self) -> None:
        """Has it end after the step in progress."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it at once."""


class WorkerPool(ABC):
    """Runs workers inside its context.

    Args:
        serve: the work of each worker; it is sent to another process.
        num_workers: how many work at once.
    """

    def __init__(self, serve: Serve, num_workers: int) -> None:
        self.serve = serve
        self.num_workers = checks.integer("workers", num_workers, least=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - most have nothing to release
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Begins, in the background, the part of a start that takes time."""

    @abstractmethod
    def start(self, number: int) -> Worker:
        """A worker that has begun.

        Args:
            number: of the worker; no two have the same.
        """

    def run(
        self,
        *,
        finished: Callable[[], bool],
        signals: StopSignals,
        watch: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Runs workers until the work is finished; looks at them twice a second.

        Args:
            finished: whether nothing is left to do. Workers that are left then are idle, or wait for a place.
            signals: a stop lets workers finish the step in progress.
            watch: is called at each look.
            tell: is called with a line for each worker that died.

        Raises:
            Stopped: if a signal ended it; all workers have ended then.
            WorkersLost: if work is left and all workers have died.
        """
        workers: list[Worker] = []
        died: list[str] = []
        try:
            signals.wait()
            while len(workers) < self.num_workers:
                workers.append(self.start(len(workers)))
            signals.wait_no_longer()
            while workers and not finished():
                signals.wait()  # an exception from a signal would break Ray's calls, and a record half written
                for worker in list(workers):
                    if not worker.has_ended(_PERIOD / len(workers)):
                        continue
                    workers.remove(worker)
                    if (death := worker.death()) is None:
                        continue
                    died.append(f"{worker.name} {death}")
                    tell(died[-1])
                    if len(died) <= _REPLACEMENTS * self.num_workers:
                        workers.append(self.start(self.num_workers - 1 + len(died)))
                watch()
                signals.wait_no_longer()
        finally:
            end(workers)
        if not finished():
            raise WorkersLost(f"no worker is left: {'; '.join(dict.fromkeys(died)) or 'all were asked to end'}")


def end(workers: list[Worker]) -> None:
    """Stops workers, and kills those that have not ended after a minute."""
    for worker in workers:
        worker.stop()
    deadline = time.monotonic() + _GRACE
    for worker in workers:
        if not worker.has_ended(max(0.0, deadline - time.monotonic())):
            worker.kill()
