"""One bar for the whole of training."""

import math
from typing import final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from reparam_suite.models import VAE
from reparam_suite.training.journal import Journal


@final
class ProgressBar(Callback):
    """Steps done, ELBO in training and validation, time left.

    Args:
        journal: which has the latest values.
        console: where to draw.
    """

    def __init__(self, *, journal: Journal, console: Console) -> None:
        self._journal = journal
        self._progress = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[reached]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            expand=True,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task("steps", start=False, total=None, visible=False, reached="")

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
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Tensor, batch_idx: int
    ) -> None:
        """Moves the bar now and then."""
        if trainer.global_step % 20 == 0:
            self._show(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the bar as it ended."""
        self._show(trainer)
        self._progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves the terminal as it was."""
        self._progress.stop()

    def _show(self, trainer: Trainer) -> None:
        model = trainer.lightning_module
        assert isinstance(model, VAE)
        shown = {
            "train": self._journal.latest(f"train/{model.objective_name}"),
            "val": self._journal.latest("val/elbo"),
        }
        reached = "  ".join(f"{name} {value:.2f}" for name, value in shown.items() if value is not None)
        self._progress.update(self._task, completed=trainer.global_step, reached=f"{reached} nats" if reached else "")
