"""The server that worker processes are forked from: it imports once what all of them need."""

import atexit
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from reparam_suite.runtime.interruption import Ignored

_PRELOADED = ["reparam_suite.runtime.preloading"]


def start_server() -> None:
    """Starts it, and its imports go on in the background; does nothing if it runs."""
    import multiprocessing  # here: commands that need no worker would wait for it
    from multiprocessing import forkserver

    multiprocessing.set_forkserver_preload(_PRELOADED)
    with Ignored(signal.SIGINT):  # Ctrl-C reaches every process of the terminal
        forkserver.ensure_running()


def start_server_of_command() -> None:
    """Starts it beside the imports of this command; it ends with the command, even in the middle of its own imports."""
    start_server()
    atexit.register(stop_server)


def stop_server() -> None:
    """Ends it at once, if this process has one: by itself it does so after its imports, when this process has ended."""
    module = sys.modules.get("multiprocessing.forkserver")  # a signal may come while it is imported
    server: Any = getattr(getattr(module, "_forkserver", None), "_forkserver_pid", None)
    if server is not None:
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGTERM)
