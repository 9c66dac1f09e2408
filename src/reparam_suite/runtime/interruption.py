"""SIGTERM and Ctrl-C before a command has begun, and after it has ended: its exit code is kept, with no traceback."""

import gc
import os
import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AFTER = (*_SIGNALS, signal.SIGHUP, signal.SIGUSR1)


def end_quietly(command: str) -> None:
    """Ends the process with a line and 128 plus the signal's number, if a signal comes while modules are imported.

    Args:
        command: its name, for the line.
    """

    def end(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for other in _AFTER:  # a second one would write a line of its own
            signal.signal(other, signal.SIG_IGN)
        what = "interrupted" if signum == signal.SIGINT else "terminated"
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
