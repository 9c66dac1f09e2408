"""A progress bar for the whole of training."""

import math
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reparam_suite.training.journal import Journal


@final
class ProgressBar(Callback):
    """Steps done, the objective in training, a metric in validation, time left.

    Args:
        journal: which has the latest values.
        console: to draw on.
        monitor: the metric of validation that is shown; by default the model's, or the first whose name begins with
            val/.
    """

    def __init__(self, *, journal: Journal, console: Console, monitor: str | None = None) -> None:
        self._journal = journal
        self._monitor = monitor
        self._progress = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            expand=True,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task("steps", start=False, total=None, visible=False, values="")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the bar."""
        if trainer.is_global_zero:
            total = trainer.estimated_stepping_batches  # infinite where only a time is given
            self._progress.update(
                self._task,
                total=total if math.isfinite(total) else None,
                completed=trainer.global_step,
                visible=True,
            )
            self._progress.start_task(self._task)
            self._progress.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar now and then."""
        if trainer.global_step % 20 == 0:
            self._show(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the bar on the terminal."""
        self._show(trainer)
        self._progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restores the terminal."""
        self._progress.stop()

    def _show(self, trainer: Trainer) -> None:
        model, curves = trainer.lightning_module, self._journal.curves
        train = f"train/{getattr(model, 'objective_name', 'loss')}"
        train = train if train in curves else "train/loss"
        monitor = self._monitor or getattr(model, "monitor", None) or ""
        val = next((name for name in curves if name.startswith("val/")), "")
        val = monitor.removeprefix("-") if monitor.removeprefix("-") in curves else val
        shown = {"train": self._journal.latest(train), "val": self._journal.latest(val)}
        values = "  ".join(
            f"{name} {value:{'.2f' if abs(value) < 1e6 else '.3g'}}"
            for name, value in shown.items()
            if value is not None
        )
        nats = " nats" if values and train != "train/loss" else ""
        self._progress.update(self._task, completed=trainer.global_step, values=values + nats)
