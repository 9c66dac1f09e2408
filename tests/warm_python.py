"""A Python that starts at once: its processes are forks of one that has imported everything.

`Interpreter.executable` is called as `python` is, with `-m MODULE`, `-c PROGRAM`, a file or a program on its standard
input. It hands its arguments, environment, working directory and open files to a server, whose fork runs the program;
signals reach that one, its exit code is returned, and if the caller is killed it is killed, with all of its session.

What a program imports first is not what it would import by itself, `sitecustomize` is not run, and the process that has
started it is not its parent: tests of these things take `sys.executable` as it is.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import process, resource_tracker, spawn
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import numpy as np
from tests.lives import Life

CALLER = """#!{python} -IS
import json, os, signal, socket, sys

files = []
for name in os.listdir("/proc/self/fd"):
    try:
        os.fstat(int(name))
    except OSError:
        continue  # it was open for the list
    files.append(int(name))
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ), files]).encode()
socket.send_fds(server, [len(asked).to_bytes(4, "big")], files)
server.sendall(asked)
pid = int(server.recv(20))
for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(signum, lambda signum, _: os.kill(pid, signum))
server.sendall(b"!")
code = int(server.recv(20) or -signal.SIGKILL)
if code < 0:
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_MOST_FILES = 250
_FIRST_FREE = 600  # numbers of files that programs do not reach


class Interpreter:
    """A server, and the executable by which programs are started.

    Args:
        directory: for both.
    """

    def __init__(self, directory: Path) -> None:
        self.executable = directory / "python"
        address = str(directory / "socket")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen(100)  # who calls before the server serves waits for it
        self.executable.write_text(CALLER.format(python=sys.executable, address=address))
        self.executable.chmod(0o755)
        self._server = Life.of(_serve, listener, str(self.executable), directory=directory)
        listener.close()

    def close(self) -> None:
        self._server.process.kill()
        self._server.process.join()


@contextmanager
def used(executable: str) -> Iterator[None]:
    """Inside, it is `sys.executable`, and the processes that `multiprocessing` spawns are its own."""
    before = spawn.get_executable()
    spawn.set_executable(executable)
    try:
        with mock.patch.object(sys, "executable", executable):
            yield
    finally:
        spawn.set_executable(before)


def _serve(listener: socket.socket, executable: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that serve one caller
    while True:
        caller, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _serve_one(caller, executable)
        caller.close()


def _serve_one(caller: socket.socket, executable: str) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _, _ = socket.recv_fds(caller, 4, _MOST_FILES)
    arguments, directory, environment, numbers = json.loads(_received(caller, int.from_bytes(head, "big")))
    if (pid := os.fork()) == 0:
        caller.close()
        os.setsid()
        _take(dict(zip(numbers, files, strict=True)))
        _run([executable, *arguments[1:]], directory, environment)
    for file in files:
        os.close(file)
    caller.sendall(str(pid).encode())
    caller.recv(1)  # from here on the caller hands signals on
    ends = select.poll()
    ended = os.pidfd_open(pid)
    ends.register(ended, select.POLLIN)
    ends.register(caller, select.POLLIN)
    if (ended, select.POLLIN) not in ends.poll():
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    try:
        caller.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    finally:
        os._exit(0)


def _received(caller: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        parts.append(caller.recv(length))
        length -= len(parts[-1])
    return b"".join(parts)


def _take(files: Mapping[int, int]) -> None:
    # Every file at the number that it has with the caller; nothing else stays open.
    for offset, number in enumerate(files):
        os.dup2(files[number], _FIRST_FREE + offset)
    os.closerange(0, _FIRST_FREE)
    for offset, number in enumerate(files):
        os.dup2(_FIRST_FREE + offset, number, inheritable=True)
    os.closerange(_FIRST_FREE, _FIRST_FREE + len(files))


def _run(arguments: Sequence[str], directory: str, environment: Mapping[str, str]) -> NoReturn:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    np.random.seed()  # noqa: NPY002 - not that of all other forks
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.executable, sys.orig_argv = arguments[0], [*arguments]
    resource_tracker._resource_tracker._fd = None  # it has one of its own where it needs it, and is nobody's child
    process._parent_process = None
    code = 0
    try:
        _execute(arguments[1:], environment)
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException as error:  # noqa: BLE001 - as the interpreter
        sys.last_type, sys.last_value, sys.last_traceback = told = type(error), error, error.__traceback__
        sys.excepthook(*told)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    # What the interpreter does at its end.
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _execute(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    given = list(arguments)
    while given and given[0] in ("-u", "-B"):
        given.pop(0)
    paths = list(filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)))
    kind = given[0]
    if kind in ("-c", "-"):
        program = given[1] if kind == "-c" else sys.stdin.read()
        sys.argv = [kind, *given[2 if kind == "-c" else 1 :]]
        sys.path[:0] = ["", *paths]
        namespace: dict[str, Any] = vars(sys.modules["__main__"])
        exec(compile(program, "<string>", "exec"), namespace)
    elif kind == "-m":
        sys.argv = given[1:]
        sys.path[:0] = [os.getcwd(), *paths]
        is_package = hasattr(sys.modules.get(given[1]), "__path__")
        sys.modules.pop(
            f"{given[1]}.__main__" if is_package else given[1], None
        )  # it is executed, and was not imported
        runpy.run_module(given[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = given
        sys.path[:0] = [str(Path(kind).absolute().parent), *paths]
        runpy.run_path(kind, run_name="__main__")
