"""Processes that run a command and are stopped where a test wants: forked from one that has imported everything."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from tests import schema
from tests.forked import StandIns
from tests.launching import Ended, ended_sooner, undrawn

from reparam_suite.runtime.interruption import ended

# Imported once, by the server; its children have it at once.
PRELOADED = [
    "tests.lives",
    "tests.launching",
    "reparam_suite.fit",
    "reparam_suite.study",
    "reparam_suite.workers.local",
    "optuna",
    "mlflow",
    "mlflow.pytorch",
    "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.pyplot",
    "sklearn.datasets",
    "tests.frozen",
]
_context = multiprocessing.get_context("forkserver")


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
        *,
        name: str = "",
        num_further: int = 0,
        within: Callable[[], AbstractContextManager[None]] = undrawn,
    ) -> "Life":
        """A command with its arguments, which ends with a bound of few samples.

        Args:
            args: of the command.
            directory: for its output and errors.
            dies: where it does; it lives to its end without.
            environment: more variables.
            command: the module.
            name: that the files of its output and errors begin with.
            num_further: further processes, for training on several devices, that the command starts at most: forks of
                this one.
            within: the context in which the command runs; by default it draws and exports nothing.
        """
        given = (command, args, dies, environment or {}, num_further, within)
        return cls.of(_main, *given, directory=directory, name=name)

    @classmethod
    def of(cls, function: Callable[..., None], *arguments: Any, directory: Path, name: str = "") -> "Life":
        """A call of a function, in the working directory and with the environment of now."""
        out, err = directory / f"{name}out", directory / f"{name}err"
        _context.set_forkserver_preload(PRELOADED)  # of no effect once the server runs
        place = (dict(os.environ), out, err, schema.first)
        process = _context.Process(target=_live, args=(*place, function, arguments))
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

    def ended(self, root: Path) -> Ended:
        """Its end, and the runs that it has finished under `root`."""
        return Ended(self.end(), self.out.read_text(), self.told(), root)


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


def _main(
    command: str,
    args: list[str],
    dies: Death | None,
    environment: Mapping[str, str],
    num_further: int,
    within: Callable[[], AbstractContextManager[None]],
) -> None:
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    for variable in ("RANK", "SLURM_PROCID"):  # which Lightning finds when it is imported
        if variable in environment:
            rank_zero_only.rank = int(environment[variable])
    module = import_module(command)
    # As `python -m` has it, by which a command starts further processes of itself.
    sys.modules["__main__"].__spec__ = module.__spec__
    sys.argv = [str(module.__file__), *args]
    with StandIns(num_further), within(), ended_sooner():
        if dies is not None:
            dies.prepare()
        raise SystemExit(ended(module.main(args)))


def _live(
    environment: Mapping[str, str],
    out: Path,
    err: Path,
    first_schema: Path | None,
    function: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server's children ignore it
    os.environ.clear()  # that of the server's start
    os.environ.update(environment)
    with (
        out.open("w", buffering=1) as told,
        err.open("w", buffering=1) as complained,
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(complained),
    ):
        for number, file in ((1, told), (2, complained)):  # of programs that it starts
            os.dup2(file.fileno(), number)
        with schema.made_once(first_schema) if first_schema else contextlib.nullcontext():
            function(*arguments)
