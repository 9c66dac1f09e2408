"""The progress of training: a bar on a terminal, a line every so often anywhere else."""

import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reparam_suite.runtime import checks
from reparam_suite.training.journal import Journal

_STEPS = 20
"""Steps between two looks at the numbers."""
_MOST = 1e6
"""Larger values are shown in scientific form."""


@final
class ProgressBar(Callback):
    """Steps done, the objective in training, a metric in validation and its best value so far, time left.

    Args:
        journal: which has the latest values.
        console: to draw on. One that is no terminal, a file or a pipe, gets lines.
        monitor: the metric of validation that is shown; by default the model's, or the first whose name begins with
            val/.
        seconds: between two lines.
        clock: in seconds.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        console: Console,
        monitor: str | None = None,
        seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._console = console
        self._monitor = monitor
        self._seconds = checks.number("seconds", seconds, least=0.0)
        self._clock = clock
        self._began = self._told = 0.0
        self._first = 0
        self._progress = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            expand=True,
            refresh_per_second=4,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("steps", start=False, total=None, visible=False, values="")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the bar."""
        if trainer.is_global_zero:
            self._began = self._told = self._clock()
            self._first = trainer.global_step
            self._progress.update(self._task, total=_total(trainer), completed=trainer.global_step, visible=True)
            self._progress.start_task(self._task)
            self._progress.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar now and then."""
        if trainer.global_step % _STEPS == 0:
            self._show(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the bar, or a last line."""
        self._show(trainer, last=True)
        self._progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restores the terminal."""
        self._progress.stop()

    def _show(self, trainer: Trainer, *, last: bool = False) -> None:
        now = self._clock()
        if self._console.is_terminal:
            self._progress.update(self._task, completed=trainer.global_step, values=self._values(trainer))
        elif last or now - self._told >= self._seconds:
            self._told = now
            self._console.print(self._line(trainer, now), soft_wrap=True, markup=False)

    def _line(self, trainer: Trainer, now: float) -> str:
        step, total = trainer.global_step, _total(trainer)
        elapsed, done = now - self._began, step - self._first
        parts = [f"step {step:,}" + (f" of {total:,}" if total else ""), self._values(trainer)]
        if total and step < total and done:
            parts.append(f"{_duration(elapsed / done * (total - step))} left")
        else:
            parts.append(f"in {_duration(elapsed)}")
        return "  ".join(filter(None, parts))

    def _values(self, trainer: Trainer) -> str:
        model, curves = trainer.lightning_module, self._journal.curves
        train = f"train/{getattr(model, 'objective_name', 'loss')}"
        train = train if train in curves else "train/loss"
        monitor = (self._monitor or getattr(model, "monitor", None) or "").removeprefix("-")
        val = monitor if monitor in curves else next((name for name in curves if name.startswith("val/")), "")
        shown = {
            "train": self._journal.latest(train),
            "val": self._journal.latest(val),
            "best": self._journal.latest(f"{val}_best"),
        }
        return "  ".join(
            f"{name} {value:{'.2f' if abs(value) < _MOST else '.3g'}}"
            for name, value in shown.items()
            if value is not None
        )


def _total(trainer: Trainer) -> int | None:
    # Infinite where only a time is given.
    total = trainer.estimated_stepping_batches
    return int(total) if math.isfinite(total) else None


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
