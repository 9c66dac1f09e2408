"""SIGTERM and Ctrl-C before a command has begun, and after it has ended: its exit code is kept, with no traceback."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, final

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AFTER = (*_SIGNALS, signal.SIGHUP, signal.SIGUSR1)


def end_quietly(command: str, cleanup: Callable[[], None]) -> None:
    """Ends the process with a line and 128 plus the signal's number, if a signal comes while modules are imported.

    Args:
        command: its name, for the line.
        cleanup: is called before.
    """

    def end(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for other in _AFTER:  # a second one would write a line of its own
            signal.signal(other, signal.SIG_IGN)
        what = "interrupted" if signum == signal.SIGINT else "terminated"
        cleanup()
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"reparam_suite.{command}: {what}\n".encode())
        os._exit(128 + signum)

    for signum in _AFTER:
        if signum in _SIGNALS or signal.getsignal(signum) is signal.SIG_DFL:  # nohup has one ignored
            signal.signal(signum, end)


def ended(code: int) -> int:
    """The exit code of a command, which later signals do not change: Python takes tenths of a second to end.

    It would take seconds with a garbage collector that looks through all objects of all modules once more.
    """
    gc.freeze()
    for signum in _AFTER:
        signal.signal(signum, signal.SIG_IGN)
    return code


@final
class Ignored:
    """A context in which a signal is ignored, where that can be set: in the main thread.

    Args:
        signum: of the signal.
    """

    def __init__(self, signum: signal.Signals) -> None:
        self._signum = signum
        self._before: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(self._signum, signal.SIG_IGN)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(self._signum, self._before)
