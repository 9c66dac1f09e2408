"""A command as a program: before its imports, which take seconds, and after them."""

import gc
import sys
from collections.abc import Callable
from typing import NoReturn

from reparam_suite.runtime.deferral import defer_scipy_signal
from reparam_suite.runtime.fork_server import start_server_of_command, stop_server
from reparam_suite.runtime.interruption import end_quietly, ended


def begin(command: str, *, workers: bool = False) -> None:
    """Prepares the process for the imports: a signal ends it with a line, and what takes time for nothing is left out.

    Args:
        command: its name, for the line.
        workers: whether it will start some on this machine: their imports begin at the same time.
    """
    end_quietly(command, stop_server)
    if workers:
        start_server_of_command()
    gc.disable()
    defer_scipy_signal()  # Lightning's import would load it


def run(main: Callable[[], int]) -> NoReturn:
    """Calls a command once all is imported, and ends the process with its exit code."""
    gc.freeze()  # what has been imported stays, and is not looked through again
    gc.enable()
    sys.exit(ended(main()))
