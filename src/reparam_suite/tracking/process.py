"""Which process records a run, and whether it is still there."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import final

import psutil

# Seconds by which two readings of one process's start may differ: the system computes it from the present time of
# day, which may be set. No process number comes round again within them.
_CLOCK_SET = 60.0


@final
@dataclass(frozen=True)
class Process:
    """A process, as the tags of its run describe it.

    Args:
        host: the machine's name.
        namespace: in which `pid` is counted; containers that share a host's name have their own.
        pid: its number.
        started: when it began, in seconds since 1970; numbers are used again.
    """

    host: str
    namespace: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> "Process":
        """The process that asks."""
        return cls(socket.gethostname(), _namespace(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "Process | None":
        """The process that the tags of a run tell; None if it was recorded by something else."""
        try:
            pid, started = int(tags["process.pid"]), float(tags["process.started"])
            return cls(tags["process.host"], tags.get("process.namespace", _namespace()), pid, started)
        except (KeyError, ValueError):
            return None

    def tags(self) -> dict[str, str]:
        """The tags that describe it."""
        return {
            "process.host": self.host,
            "process.namespace": self.namespace,
            "process.pid": str(self.pid),
            "process.started": f"{self.started:.2f}",
        }

    def is_of_this_machine(self) -> bool:
        """Whether this machine can find out if it is alive."""
        return (self.host, self.namespace) == (socket.gethostname(), _namespace())

    def is_gone(self) -> bool:
        """Whether it has ended; only for a process of this machine."""
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _CLOCK_SET
            return not same or process.status() == psutil.STATUS_ZOMBIE
        return True


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:  # a system without them
        return ""
