"""A cluster of Ray: joined, or started here, and checked before anything is placed in it."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, final

import ray

from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking import reason, redact

# Seconds for the head of a cluster to answer.
_CONNECT_TIMEOUT = 10.0


@final
class RayCluster:
    """The cluster of Ray, within this context.

    It is the one that this process is in already, else that of $RAY_ADDRESS; without either, Ray is started here for
    the time of the context.

    Args:
        cpus: that Ray reserves for each worker.
        gpus: that Ray reserves for each; a part of one shares it.
        databases: URL by option, of those that all machines have to reach.

    Raises:
        UsageError: on entering, if the cluster cannot be used. Nothing was created then.
    """

    def __init__(self, *, cpus: float, gpus: float, databases: Mapping[str, str]) -> None:
        self._resources = {"CPU": cpus, "GPU": gpus}
        self._databases = databases
        self._joined_here = False

    def __enter__(self) -> Self:
        started_here = False
        if not ray.is_initialized():
            started_here = _join_or_start()
            self._joined_here = True
        try:
            nodes = [node for node in ray.nodes() if node["Alive"]]
            check_reachable(self._databases, {node["NodeManagerAddress"] for node in nodes})
            if started_here:  # a cluster may grow
                check_room(self._resources, [node["Resources"] for node in nodes])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._joined_here:
            ray.shutdown()

    def remote(self, function: Any, **options: Any) -> Any:
        """A function whose calls are tasks with the reserved CPUs and GPUs; none is begun again by Ray."""
        return ray.remote(num_cpus=self._resources["CPU"], num_gpus=self._resources["GPU"], max_retries=0, **options)(
            function
        )


def _join_or_start() -> bool:
    """Whether Ray was started here, since no cluster is named."""
    address = os.environ.get("RAY_ADDRESS", "")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if not address:
            ray.init(address="local", include_dashboard=False, **options)
            return True
        _check_answers(address)
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"--engine ray: Ray at {address or 'this machine'} cannot be used: {reason(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():  # where Ray has put one that ends this process
            signal.signal(signal.SIGTERM, handler)
    return False


def _check_answers(address: str) -> None:
    # Ray itself tries for a quarter of an hour.
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT).close()


def check_reachable(databases: Mapping[str, str], machines: Iterable[str]) -> None:
    """Refuses a file of one machine as the database of several.

    Args:
        databases: URL by option.
        machines: addresses.

    Raises:
        UsageError: if there are several machines and one of the databases is such a file.
    """
    if len(names := sorted(machines)) == 1:
        return
    for option, url in databases.items():
        if url.startswith("sqlite"):
            raise UsageError(
                f"--{option}: Ray's cluster has {len(names)} machines ({', '.join(names)}), expected a database that "
                f"all of them reach, got the file {redact(url)} of one"
            )


def check_room(wanted: Mapping[str, float], nodes: Sequence[Mapping[str, float]]) -> None:
    """Refuses workers that would wait for ever.

    Args:
        wanted: CPU and GPU of each worker.
        nodes: what each machine has.

    Raises:
        UsageError: if no machine has room for one worker.
    """
    most = {name: max(node.get(name, 0.0) for node in nodes) for name in wanted}
    for name, amount in wanted.items():
        if amount > most[name]:
            raise UsageError(
                f"--{name.lower()}s-per-worker: this machine has {most[name]:g} {name}s, expected at most as many, "
                f"got {amount:g}"
            )
