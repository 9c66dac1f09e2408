"""Trials that wait within their training until a test lets them go on."""

import os
import signal
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback


class Halt(Callback):
    """Waits before the third step until a signal comes; the process's file is in a directory meanwhile.

    Args:
        place: the directory. Nobody waits any more once it has a file `open`.
    """

    def __init__(self, place: str) -> None:
        self.place = Path(place)

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step != 2 or (self.place / "open").exists():
            return
        came, comes = os.pipe()
        os.set_blocking(comes, False)
        before = signal.set_wakeup_fd(comes)  # from here on no signal is missed
        signal.signal(signal.SIGUSR2, lambda *_: None)
        file = self.place / str(os.getpid())
        file.touch()
        os.read(came, 1)
        file.unlink()
        signal.set_wakeup_fd(before)
        for end in (came, comes):
            os.close(end)


class Gate:
    """The place of a study's `Halt`, as the test sees it.

    Args:
        place: a directory, which is made.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()

    @property
    def callbacks(self) -> list[dict[str, Any]]:
        """Of a base run whose trials halt here."""
        return [{"class_path": "tests.studies.halting.Halt", "init_args": {"place": str(self.place)}}]

    def waiting(self) -> set[int]:
        """The numbers of the processes that wait."""
        return {int(file.name) for file in self.place.iterdir() if file.name != "open"}

    def kill(self, pid: int) -> None:
        """Ends a process that waits, by SIGKILL."""
        os.kill(pid, signal.SIGKILL)
        (self.place / str(pid)).unlink()

    def clear(self) -> None:
        """Forgets those that waited; they were killed."""
        for pid in self.waiting():
            (self.place / str(pid)).unlink()

    def open(self) -> None:
        """Lets those that wait go on, and all that come."""
        (self.place / "open").touch()
        for pid in self.waiting():
            os.kill(pid, signal.SIGUSR2)
