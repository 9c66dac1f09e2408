"""Workers as tasks of Ray: it finds a place for each in its cluster."""

import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.tracking import reason
from reparam_suite.training import StopSignals
from reparam_suite.workers.engines import Engine
from reparam_suite.workers.pool import Serve, Worker, WorkerPool, end
from reparam_suite.workers.ray_cluster import RayCluster
from reparam_suite.workers.tasks import Function, Outcome, done_here

# Seconds between two looks at a signal.
_PERIOD = 0.5


@final
class RayTasks(WorkerPool):
    """One task of Ray core for each worker, for as long as the work takes; the cluster is that of `RayCluster`.

    Args:
        serve: the work of each worker.
        num_workers: how many work at once.
        cpus: that Ray reserves for each.
        gpus: that Ray reserves for each; a part of one shares it.
        databases: URL by option, of those that all machines have to reach.

    Raises:
        UsageError: on entering, if the cluster cannot be used. Nothing was created then.
    """

    def __init__(
        self, serve: Serve, num_workers: int, *, cpus: float, gpus: float, databases: Mapping[str, str]
    ) -> None:
        super().__init__(serve, num_workers)
        self._cluster = RayCluster(cpus=cpus, gpus=gpus, databases=databases)

    def __enter__(self) -> Self:
        self._cluster.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cluster.__exit__(kind, error, traceback)

    def start(self, number: int) -> Worker:
        """A task that begins as soon as there is room for it."""
        # The pool starts another one, with another number; a process that was stopped is of no more use.
        task = self._cluster.remote(_serve_in, max_calls=1)
        return _Task(number, task.remote(Path.cwd(), self.serve, number))


@final
class RayEngine(Engine):
    """One task of Ray core for each task; its processes stay warm. The cluster is that of `RayCluster`.

    Args:
        num_workers: tasks that are done, or wait for a place, at once.
        cpus: that Ray reserves for each.
        gpus: that Ray reserves for each; a part of one shares it.
        databases: URL by option, of those that all machines have to reach.

    Raises:
        ValueError: if there is no worker.
    """

    def __init__(self, num_workers: int, *, cpus: float, gpus: float, databases: Mapping[str, str]) -> None:
        super().__init__(num_workers)
        self._cluster = RayCluster(cpus=cpus, gpus=gpus, databases=databases)

    def completed(
        self, function: Function, tasks: Sequence[Any], signals: StopSignals
    ) -> Generator[Outcome, None, None]:
        """The outcomes; a task whose process dies has failed.

        Raises:
            UsageError: if the cluster cannot be used.
        """
        waiting = list(enumerate(tasks))[::-1]
        running: dict[Any, _Task] = {}
        with self._cluster:
            remote, place = self._cluster.remote(_do_in), Path.cwd()
            try:
                while waiting or running:
                    signals.wait()  # an exception from a signal would break Ray's calls
                    while waiting and len(running) < self.num_workers:
                        index, task = waiting.pop()
                        started = remote.remote(place, function, index, task)
                        running[started] = _Task(index, started)
                    ended, _ = ray.wait(list(running), timeout=_PERIOD)
                    outcomes = [running.pop(each).outcome() for each in ended]
                    signals.wait_no_longer()
                    yield from outcomes
            finally:
                end(list(running.values()))


def _serve_in(directory: Path, serve: Serve, number: int) -> None:
    os.chdir(directory)  # from which relative paths count
    serve(number)


def _do_in(directory: Path, function: Function, index: int, task: Any) -> Outcome:
    os.chdir(directory)
    with StopSignals() as signals, plain_warnings("reparam_suite"):
        return done_here(function, index, task, signals)


@final
class _Task(Worker):
    def __init__(self, number: int, task: Any) -> None:
        self.name = f"worker {number}"
        self._number = number
        self._task = task

    def has_ended(self, patience: float) -> bool:
        ended, _ = ray.wait([self._task], timeout=patience)
        return bool(ended)

    def death(self) -> str | None:
        try:
            ray.get(self._task)
        except TaskCancelledError:
            return None
        except RayTaskError as error:
            return f"ended with {type(error.cause).__name__}: {reason(error.cause)}"
        except RayError as error:
            return f"died: {reason(error)}"
        return None

    def outcome(self) -> Outcome:
        if (death := self.death()) is not None:
            return Outcome(self._number, error=f"its worker {death}")
        outcome: Outcome = ray.get(self._task)
        return outcome

    def stop(self) -> None:
        ray.cancel(self._task)  # arrives there as Ctrl-C would

    def kill(self) -> None:
        ray.cancel(self._task, force=True)
