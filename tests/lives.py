"""Processes that run the command and are stopped where a test wants: forked from one that has imported everything."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["tests.lives", "reparam_suite.fit", "mlflow", "mlflow.store.tracking.sqlalchemy_store", "matplotlib.pyplot"]
)


@dataclass
class Life:
    """One process of the command."""

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
    ) -> "Life":
        out, err = directory / "out", directory / "err"
        process = _context.Process(target=_live, args=(args, out, err, dies, environment or {}))
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
    """SIGKILL, or another signal, before the `nth` call of a function, or in the middle of it.

    Args:
        module: where the function is looked up.
        name: dotted, within the module.
        nth: call, from 1 on.
        half: what is done of the call before.
        signum: of the signal.
    """

    module: str
    name: str
    nth: int = 1
    half: Callable[..., None] | None = field(default=None)
    signum: int = signal.SIGKILL

    def prepare(self) -> None:
        owner: Any = __import__(self.module, fromlist=["_"])
        *path, last = self.name.split(".")
        for each in path:
            owner = getattr(owner, each)
        original, calls = getattr(owner, last), []

        def dying(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == self.nth:
                if self.half is not None:
                    self.half(*args, **kwargs)
                os.kill(os.getpid(), self.signum)
            return original(*args, **kwargs)

        setattr(owner, last, dying)


def half_a_file(path: Path, content: bytes | memoryview) -> None:
    """The state that a process leaves which is killed while it writes a file."""
    path.write_bytes(bytes(content)[: len(content) // 2])


def first_name_only(file: Path, name: Path) -> None:
    """The state that a process leaves which is killed while it gives a file a second name."""
    name.unlink(missing_ok=True)


def _live(args: list[str], out: Path, err: Path, dies: Death | None, environment: Mapping[str, str]) -> None:
    from reparam_suite import fit

    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server's children ignore it
    with (
        out.open("w") as told,
        err.open("w") as complained,
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(complained),
    ):
        if dies is not None:
            dies.prepare()
        code = fit.main(args)
    raise SystemExit(code)
