"""The surroundings of a run: where it is shown, what may stop it, how further processes are started."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from lightning.pytorch import Callback
from rich.console import Console

from reparam_suite.runtime.terminal import TextConsole
from reparam_suite.tracking import RunLogger
from reparam_suite.training import STOP_SIGNALS, Journal, Stopped, StopSignals

_log = logging.getLogger(__name__)


@final
class RunStopped(RuntimeError):  # noqa: N818 - it says what happened
    """A signal has ended a run; the message says after which step, and how the run is resumed.

    Attributes:
        exit_code: of a command that ends with it.
        signum: of the signal.
    """

    def __init__(self, stopped: Stopped, step: int, resume: str) -> None:
        super().__init__(f"{stopped.what} after step {step}; the run is recorded as KILLED. To resume it: {resume}")
        self.exit_code = stopped.exit_code
        self.signum = stopped.exit_code - 128


class Observer:
    """Takes part in a run from outside, as a study does; this one does nothing.

    Attributes:
        tests: whether the best weights are tested, where there is a test.
        in_full: whether the run also gets figures, the arrays of its endpoints and an exported model.
    """

    tests: bool = True
    in_full: bool = True

    def assembled(self, parts: Any) -> None:
        """Sees the model, data and trainer of a run before anything is recorded; an error from here refuses it."""

    def begun(self, logger: RunLogger, journal: Journal) -> Sequence[Callback]:  # noqa: ARG002
        """Callbacks that are added to a run which is on record from now on."""
        return []

    def finished(self, logger: RunLogger, journal: Journal) -> None:
        """Sees a run that has ended well, before its record is closed; an error from here makes it fail."""

    def failed(self, logger: RunLogger, error: BaseException) -> Literal["KILLED", "FAILED"]:  # noqa: ARG002
        """The status under which the record of a run is closed that ended with an error."""
        return "KILLED" if isinstance(error, KeyboardInterrupt | Stopped) else "FAILED"


@final
@dataclass(frozen=True)
class Surroundings:
    """The surroundings of a run.

    Args:
        console: where the run is shown.
        signals: which stop it between two steps.
        relaunch: the command that starts this program again, for the further processes of a run on several devices;
            None where there is none, as in a notebook.
        tell: is called with each line that the user should know.
        of_command: whether a command called, which is shown how to resume a run by its own options.
        observer: which takes part in the run.
    """

    console: Console
    signals: StopSignals
    relaunch: Sequence[str] | None
    tell: Callable[[str], object] = _log.warning
    of_command: bool = False
    observer: Observer = field(default_factory=Observer)


@contextmanager
def library_call(*, progress: bool, first: bool = True) -> Iterator[Surroundings]:
    """The surroundings of a call from Python: it shows what it is asked to, and leaves no signal handler behind.

    SIGTERM, Ctrl-C and their like are kept until a step is done and then have the effect that they would have had.
    Outside of the main thread, where Python allows no handlers, they are left alone.

    Args:
        progress: whether the run is shown.
        first: whether no run came before in this program: one that is started again would make that once more.
    """
    console = TextConsole(quiet=not progress)
    signals = StopSignals()
    command = script_command() if first else None
    if threading.current_thread() is not threading.main_thread():
        with signals:
            yield Surroundings(console, signals, command)
        return
    before = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
    try:
        with signals:
            yield Surroundings(console, signals, command)
            signals.wait_no_longer()
    except RunStopped as stopped:
        _restore(before)
        if stopped.signum == signal.SIGINT:
            raise KeyboardInterrupt(str(stopped)) from stopped
        _log.warning("%s", stopped)
        os.kill(os.getpid(), stopped.signum)
        raise
    except Stopped as stopped:  # before a run had begun, or after it had ended
        _restore(before)
        if stopped.exit_code - 128 == signal.SIGINT:
            raise KeyboardInterrupt from stopped
        os.kill(os.getpid(), stopped.exit_code - 128)
        raise
    finally:
        _restore(before)


def script_command() -> list[str] | None:
    """The command that starts this program again; None in a notebook and wherever else there is no file to run."""
    main = sys.modules.get("__main__")
    specification = getattr(main, "__spec__", None)
    if specification is not None and specification.name:
        module = specification.name.removesuffix(".__main__")
        return [sys.executable, "-m", module, *sys.argv[1:]]
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        return None
    return [sys.executable, str(Path(file).absolute()), *sys.argv[1:]]


def _restore(handlers: Mapping[signal.Signals, object]) -> None:
    for signum, handler in handlers.items():
        signal.signal(signum, handler)  # type: ignore[arg-type]
