"""Checkpoints: the best by validation and the last two, in a directory of the run."""

import logging
import math
import os
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from reparam_suite.runtime.processes import gathered, num_processes, rank
from reparam_suite.training.checkpoint_files import FORMAT, HEADER
from reparam_suite.training.position import put_between_steps
from reparam_suite.training.random_streams import random_state, set_random_state

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class CheckpointSettings:
    """When a checkpoint is written, beside each epoch's end and the end of training.

    Args:
        every_minutes: minutes between two.
        every_steps: steps between two; without it, the minutes alone count.

    Raises:
        ValueError: if an interval is not positive.
    """

    every_minutes: float = 5.0
    every_steps: int | None = None

    def __post_init__(self) -> None:
        if not self.every_minutes > 0.0:
            raise ValueError(f"checkpoint.every_minutes must be positive, got {self.every_minutes}")
        if self.every_steps is not None and self.every_steps < 1:
            raise ValueError(f"checkpoint.every_steps must be at least 1, got {self.every_steps}")


@final
class Checkpoints(Checkpoint):
    """best.ckpt (highest val/elbo), last.ckpt and previous.ckpt (the one before); complete whenever they are there.

    All stand between two steps and hold what a run needs to go on from there to the last bit. A disk that takes none
    does not stop training.

    Attributes:
        directory: of this run alone; it has to be set before training starts.
        identity: of the run: its id and its configuration, in plain types.
    """

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.identity: dict[str, Any] = {}
        self._best = -math.inf
        self._position: dict[str, Any] = {}
        self._written_at = self._tried_at = -1
        self._tried = time.monotonic()
        self._random_state: dict[str, Any] | None = None

    @property
    def state_key(self) -> str:
        """Under what name the state lies in a checkpoint."""
        return type(self).__qualname__

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, and the random streams of every process."""
        return {"best": self._best, "random": gathered(random_state())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best value and the streams."""
        self._best = state_dict["best"]
        streams = state_dict["random"]
        if len(streams) == num_processes():  # another number of processes goes on with the noise of its seeds
            self._random_state = streams[rank()]
            set_random_state(self._random_state)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Where the data stand, should there be nothing left to train."""
        self._position = checkpoint[type(trainer.datamodule).__qualname__]  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the random streams, whatever has drawn from them since the state was loaded."""
        self._position = trainer.datamodule.state_dict()  # type: ignore[attr-defined]
        self._written_at = self._tried_at = trainer.global_step
        self._tried = time.monotonic()
        if self._random_state is not None:
            set_random_state(self._random_state)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Remembers where the data stand: the next batch is taken before the next step begins."""
        self._position = trainer.datamodule.state_dict()  # type: ignore[attr-defined]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds which run it is, and puts the position between two steps."""
        checkpoint[HEADER] = {"format": FORMAT, "version": version("reparam_suite"), **self.identity}
        checkpoint[type(trainer.datamodule).__qualname__] = self._position  # type: ignore[attr-defined]
        put_between_steps(trainer, checkpoint, self._position)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tells the directory to all processes: they take part in what the first of them alone writes."""
        self.directory = trainer.strategy.broadcast(self.directory)

    def consider(self, trainer: Trainer, value: float) -> None:
        """Keeps the present state as the best one if `value` is the highest so far."""
        if value > self._best and trainer.global_step > 0:
            before, self._best = self._best, value
            if not self._save(trainer, BEST):
                self._best = before

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes last.ckpt; at the end of training too, before the last values are recorded."""
        self.write(trainer)

    def due(self, trainer: Trainer, settings: CheckpointSettings) -> bool:
        """Whether one should be written between this step and the next."""
        since = trainer.global_step - self._tried_at
        by_steps = settings.every_steps is not None and since >= settings.every_steps
        return since > 0 and (by_steps or time.monotonic() - self._tried >= 60.0 * settings.every_minutes)

    def write(self, trainer: Trainer) -> None:
        """Writes last.ckpt, and keeps the one that was it; nothing if there was no step since."""
        if self._written_at == trainer.global_step:
            return
        self._tried_at, self._tried = trainer.global_step, time.monotonic()
        new = f"{LAST}.new"
        if not self._save(trainer, new):
            return
        self._written_at = trainer.global_step
        if self.directory is not None and trainer.is_global_zero:
            if (self.directory / LAST).exists():
                _give_second_name(self.directory / LAST, self.directory / PREVIOUS)
            os.replace(self.directory / new, self.directory / LAST)

    def newest(self) -> Path | None:
        """The checkpoint written last."""
        written = list(self.directory.glob("*.ckpt")) if self.directory else []
        return max(written, key=lambda path: path.stat().st_mtime_ns, default=None)

    def _save(self, trainer: Trainer, name: str) -> bool:
        if self.directory is None:
            return True
        saved = True
        try:
            trainer.save_checkpoint(self.directory / name, weights_only=False)  # the optimizer too
        except OSError as error:
            trainer.strategy.barrier()  # in which the other processes wait for the one that writes
            saved = False
            _log.warning(
                "no checkpoint of step %d could be written (%s); the last one is %s; training goes on",
                trainer.global_step,
                error.strerror or error,
                self.newest() or "none",
            )
        return trainer.strategy.broadcast(saved)


def _give_second_name(file: Path, name: Path) -> None:
    # So that there is a last checkpoint at every moment.
    name.unlink(missing_ok=True)
    try:
        os.link(file, name)
    except OSError:  # a file system without second names
        os.replace(file, name)
