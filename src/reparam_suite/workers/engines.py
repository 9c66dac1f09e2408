"""Where the tasks of a sweep are done: here, in processes of this machine, or elsewhere."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Literal, final

from typing_extensions import override

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.fork_server import start_server
from reparam_suite.training import StopSignals
from reparam_suite.workers.sending import obstacle
from reparam_suite.workers.tasks import Function, Outcome, completed, done_here

EngineName = Literal["local", "ray"]
"""Where workers run: in processes of this machine, or as tasks of Ray."""

_log = logging.getLogger(__name__)


class Engine(ABC):
    """Does tasks, several at once.

    Args:
        num_workers: that work at once.

    Raises:
        TypeError: if it is no integer.
        ValueError: if there is none.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = checks.integer("workers", num_workers, least=1)

    def prepare(self, num_tasks: int) -> None:  # noqa: B027 - most have nothing to prepare
        """Begins, in the background, the part of a start that takes time.

        Args:
            num_tasks: that are to be done.
        """

    @abstractmethod
    def completed(
        self, function: Function, tasks: Sequence[Any], signals: StopSignals
    ) -> Generator[Outcome, None, None]:
        """The outcomes of tasks in the order in which they end; closing the iterator stops those in progress.

        Args:
            function: does a task.
            tasks: to be done.
            signals: of this process.

        Raises:
            Stopped: if a signal ended it.
            WorkersLost: if no worker can be started.
        """


@final
class LocalEngine(Engine):
    """This process alone, or processes of this machine that stay warm, with one CPU thread each."""

    @override
    def prepare(self, num_tasks: int) -> None:
        if min(self.num_workers, num_tasks) > 1:
            start_server()

    def completed(
        self, function: Function, tasks: Sequence[Any], signals: StopSignals
    ) -> Generator[Outcome, None, None]:
        """The outcomes; where tasks cannot be sent to another process, they are done in this one."""
        if min(self.num_workers, len(tasks)) > 1:
            if (why := obstacle(function, tasks)) is None:
                yield from completed(function, tasks, num_workers=self.num_workers)
                return
            _log.warning(
                "runs train in this process, one after the other: what makes them cannot be sent to another: %s", why
            )
        for index, task in enumerate(tasks):
            yield done_here(function, index, task, signals)


def add_worker_options(parser: Any) -> None:
    """Adds the options of a command that say how many workers there are, and where they run.

    Args:
        parser: of the command, an ArgumentParser.
    """
    parser.add_argument("--workers", type=int, default=1, help="how many; one CPU thread each")
    parser.add_argument(
        "--engine", type=EngineName, default="local", help="where they run: processes on this machine, or tasks of Ray"
    )
    parser.add_argument("--cpus-per-worker", type=float, default=None, help="that Ray reserves; 1 by default")
    parser.add_argument(
        "--gpus-per-worker",
        type=float,
        default=None,
        help="that Ray reserves; none by default, 0.25 for four to share one",
    )


def check_resources(engine: EngineName, cpus: float | None, gpus: float | None) -> None:
    """Refuses reservations for a worker that cannot be made.

    Args:
        engine: of the workers.
        cpus: that are reserved for each; None: not given.
        gpus: likewise.

    Raises:
        UsageError: naming the option.
    """
    for name, amount in {"cpus": cpus, "gpus": gpus}.items():
        if amount is None:
            continue
        if engine != "ray":
            raise UsageError(f"--{name}-per-worker is for --engine ray, got --engine {engine}")
        if not 0 <= amount < math.inf or (amount > 1 and amount != int(amount)):
            raise UsageError(f"--{name}-per-worker: expected a part of one or a whole number, got {amount:g}")


def engine_of(
    engine: EngineName, num_workers: int, *, cpus: float | None, gpus: float | None, databases: Mapping[str, str]
) -> Engine:
    """The engine that a command asks for.

    Args:
        engine: its name.
        num_workers: that work at once.
        cpus: that Ray reserves for each; None: 1.
        gpus: that Ray reserves for each; None: none.
        databases: URL by option, of those that all machines have to reach.

    Raises:
        UsageError: if Ray is not installed.
    """
    if engine == "local":
        return LocalEngine(num_workers)
    try:
        from reparam_suite.workers.on_ray import RayEngine
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError(WITHOUT_RAY) from error
    return RayEngine(num_workers, cpus=1.0 if cpus is None else cpus, gpus=gpus or 0.0, databases=databases)


WITHOUT_RAY = "--engine ray: Ray is not installed; to have it: pip install 'reparam_suite[ray]'"
