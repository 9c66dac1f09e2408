"""Processes that run a command and are stopped where a test wants: forked from one that has imported everything."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from reparam_suite.runtime.interruption import ended

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "tests.lives",
        "reparam_suite.fit",
        "reparam_suite.study",
        "optuna",
        "mlflow",
        "mlflow.pytorch",
        "mlflow.store.tracking.sqlalchemy_store",
        "matplotlib.pyplot",
        "sklearn.datasets",
    ]
)


@dataclass
class Life:
    """One process, whose output and errors are files."""

    process: BaseProcess
    out: Path
    err: Path

    @classmethod
    def begin(
        cls,
        args: list[str],
        directory: Path,
        dies: "Death | None" = None,
        environment: Mapping[str, str] | None = None,
        command: str = "reparam_suite.fit",
    ) -> "Life":
        """A command with its arguments, and more variables of the environment."""
        return cls.of(_main, command, args, dies, environment or {}, directory=directory)

    @classmethod
    def of(cls, function: Callable[..., None], *arguments: Any, directory: Path, name: str = "") -> "Life":
        """A call of a function, in the working directory and with the environment of now."""
        out, err = directory / f"{name}out", directory / f"{name}err"
        process = _context.Process(target=_live, args=(dict(os.environ), out, err, function, arguments))
        process.start()
        return cls(process, out, err)

    def end(self, timeout: float = 600.0) -> int:
        """The exit code, or minus the signal."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(self.err.read_text())
        return self.process.exitcode

    def told(self) -> str:
        return self.err.read_text()


@dataclass(frozen=True)
class Death:
    """SIGKILL, or other signals, before the `nth` call of a function, or in the middle of it.

    Args:
        module: where the function is looked up.
        name: dotted, within the module.
        nth: call, from 1 on.
        half: what is done of the call before.
        signals: that the process sends to itself.
    """

    module: str
    name: str
    nth: int = 1
    half: Callable[..., None] | None = field(default=None)
    signals: tuple[signal.Signals, ...] = (signal.SIGKILL,)

    def prepare(self) -> None:
        owner: Any = __import__(self.module, fromlist=["_"])
        *path, last = self.name.split(".")
        for part in path:
            owner = getattr(owner, part)
        original, calls = getattr(owner, last), []

        def dying(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == self.nth:
                if self.half is not None:
                    self.half(*args, **kwargs)
                for signum in self.signals:
                    os.kill(os.getpid(), signum)
            return original(*args, **kwargs)

        setattr(owner, last, dying)


def half_a_file(path: Path, content: bytes | memoryview) -> None:
    """The state that a process leaves which is killed while it writes a file."""
    path.write_bytes(bytes(content)[: len(content) // 2])


def first_name_only(file: Path, name: Path) -> None:
    """The state that a process leaves which is killed while it gives a file a second name."""
    name.unlink(missing_ok=True)


def kill_itself() -> None:
    """The end of a process by SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def _main(command: str, args: list[str], dies: Death | None, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    main = import_module(command).main
    if dies is not None:
        dies.prepare()
    raise SystemExit(ended(main(args)))


def _live(
    environment: Mapping[str, str], out: Path, err: Path, function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server's children ignore it
    os.environ.clear()  # that of the server's start
    os.environ.update(environment)
    with (
        out.open("w") as told,
        err.open("w") as complained,
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(complained),
    ):
        function(*arguments)
