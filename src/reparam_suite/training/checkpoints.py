"""Checkpoints: the best by validation and the last, in a directory of the run."""

import math
import os
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint


@final
class Checkpoints(Checkpoint):
    """best.ckpt (highest val/elbo) and last.ckpt (each epoch's end, and the end); complete whenever they are there.

    Attributes:
        directory: of this run alone; it has to be set before training starts.
    """

    def __init__(self) -> None:
        self.directory: Path | None = None
        self._best = -math.inf

    @property
    def state_key(self) -> str:
        """Under what name the state lies in a checkpoint."""
        return type(self).__qualname__

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best value."""
        self._best = state_dict["best"]

    def consider(self, trainer: Trainer, value: float) -> None:
        """Keeps the present state as the best one if `value` is the highest so far."""
        if value > self._best and trainer.global_step > 0:
            self._best = value
            self._save(trainer, "best.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes last.ckpt."""
        self._save(trainer, "last.ckpt")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes last.ckpt."""
        self._save(trainer, "last.ckpt")

    def newest(self) -> Path | None:
        """The checkpoint written last."""
        written = list(self.directory.glob("*.ckpt")) if self.directory else []
        return max(written, key=lambda path: path.stat().st_mtime_ns, default=None)

    def _save(self, trainer: Trainer, name: str) -> None:
        if self.directory is None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        unfinished = self.directory / f"{name}.unfinished"
        trainer.save_checkpoint(unfinished, weights_only=False)  # the optimizer too
        if trainer.is_global_zero:
            os.replace(unfinished, self.directory / name)
