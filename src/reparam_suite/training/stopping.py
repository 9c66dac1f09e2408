"""SIGTERM, Ctrl-C and their like: handled at once where nothing can be lost, between two steps while a model trains."""

import logging
import signal
import threading
from functools import cache
from types import FrameType, TracebackType
from typing import Any, NoReturn, final

from reparam_suite.training.errors import Stopped

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Ctrl-C; what schedulers and service managers send; a terminal that closes; SLURM's --signal."""

_log = logging.getLogger(__name__)


@final
class StopSignals:
    """Within this context the first signal raises `Stopped`, and a later one does not disturb what the first began.

    Outside of the main thread, where Python allows no handlers, signals are left alone; the module's logger says so
    once.

    Attributes:
        waits: while it is true, a signal is held back in `received`, and nothing is raised.
        received: the first signal.
    """

    def __init__(self) -> None:
        self.waits = False
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._before = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS if _is_ours(signum)}
            self._install()
        else:
            _say_that_signals_are_left_alone()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            # After a signal the process ends, and a later one must not change how: Python itself would let it.
            signal.signal(signum, handler if self.received is None else signal.SIG_IGN)
        self._before.clear()

    def _install(self) -> None:
        for signum in self._before:
            signal.signal(signum, self._receive)

    def wait(self) -> None:
        """Holds signals back from now on."""
        if self._before:  # Lightning has put a handler that would end training before a checkpoint is written
            self._install()
        self.waits = True

    def wait_no_longer(self) -> None:
        """Stops holding signals back: from now on one raises `Stopped`; so does this call, if one was held back."""
        self.waits = False
        if self.received is not None:
            self.stop()

    def stop(self) -> NoReturn:
        """Raises `Stopped` for the signal that was held back here, or in another process of this training."""
        self.waits = False
        raise Stopped(signal.SIGTERM if self.received is None else self.received)

    def forget(self) -> None:
        """Goes on as if no signal had come: one that was sent on purpose has done its work."""
        self.received = None
        self.waits = False

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signum
            if not self.waits:
                raise Stopped(signum)


def _is_ours(signum: signal.Signals) -> bool:
    # nohup ignores SIGHUP, and a program may have a use of its own for it and for SIGUSR1.
    return signum in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(signum) == signal.SIG_DFL


@cache
def _say_that_signals_are_left_alone() -> None:
    _log.warning("a run outside of the main thread: Ctrl-C and SIGTERM leave no checkpoint of their step")
