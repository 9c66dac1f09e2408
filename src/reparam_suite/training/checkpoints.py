"""Checkpoints of a run: the best by a monitored metric and the last, while it trains the last two, in its directory."""

import functools
import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from reparam_suite.runtime.checks import as_integer, as_number
from reparam_suite.runtime.processes import gathered, num_processes, rank
from reparam_suite.runtime.random_streams import random_state, set_random_state
from reparam_suite.training.checkpoint_files import FORMAT, HEADER
from reparam_suite.training.position import key_of_data, position_of_data, put_between_steps

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class CheckpointSettings:
    """When a checkpoint is written, beside each epoch's end and the end of training.

    Args:
        every_minutes: minutes between checkpoints.
        every_steps: steps between checkpoints; without it, the minutes alone count.

    Raises:
        TypeError: if an interval is no number.
        ValueError: if it is not positive.
    """

    every_minutes: float = 5.0
    every_steps: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "every_minutes", as_number("checkpoint.every_minutes", self.every_minutes))
        if self.every_steps is not None:
            object.__setattr__(self, "every_steps", as_integer("checkpoint.every_steps", self.every_steps))
        if not self.every_minutes > 0.0:
            raise ValueError(f"checkpoint.every_minutes: expected a positive number, got {self.every_minutes}")
        if self.every_steps is not None and self.every_steps < 1:
            raise ValueError(f"checkpoint.every_steps: expected at least 1, got {self.every_steps}")


@final
class Checkpoints(Checkpoint):
    """best.ckpt (by the monitor), last.ckpt and previous.ckpt (the one before); complete whenever they are there.

    Each is a state between two steps from which a resumed run is bitwise identical to one that was never stopped. A
    full disk does not stop training.

    Args:
        monitor: the metric whose largest value is the best; "-val/loss" for the smallest val/loss. None: there is no
            best.ckpt. Values that are not finite are never the best.

    Attributes:
        directory: of this run alone; it has to be set before training starts.
        identity: of the run: its id and its configuration, in plain types.
        monitor: as given; it may be set until training starts.
    """

    def __init__(self, *, monitor: str | None = None) -> None:
        self.directory: Path | None = None
        self.identity: dict[str, Any] = {}
        self.monitor = monitor
        self._best = -math.inf  # of the metric, or of minus the metric
        self._best_of: str | None = None
        self._position: dict[str, Any] = {}
        self._written_at = self._tried_at = -1
        self._tried = time.monotonic()
        self._random_state: dict[str, Any] | None = None

    @property
    def state_key(self) -> str:
        """The name of the state in a checkpoint."""
        return type(self).__qualname__

    @property
    def monitored(self) -> str | None:
        """The name of the monitored metric, without the sign."""
        return None if self.monitor is None else self.monitor.removeprefix("-")

    @property
    def best(self) -> float:
        """The best value of the monitored metric so far."""
        return -self._best if self.monitor is not None and self.monitor.startswith("-") else self._best

    @best.setter
    def best(self, value: float) -> None:
        self._best = -value if self.monitor is not None and self.monitor.startswith("-") else value
        self._best_of = self.monitor

    @property
    def has_best(self) -> bool:
        """Whether there are weights that are the best by the present monitor; best.ckpt holds them."""
        return self.monitor is not None and self._best_of == self.monitor and math.isfinite(self._best)

    @property
    def told_best(self) -> str:
        """The best value for people: "val/elbo -27.1"."""
        return f"{self.monitored} {self.best:.4g}"

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, and the random streams of every process."""
        return {"best": self.best, "monitor": self._best_of, "random": gathered(random_state())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best value, unless another metric is monitored now, and the streams."""
        if self.monitor is not None and state_dict["monitor"] == self.monitor:
            self.best = state_dict["best"]
        streams = state_dict["random"]
        if len(streams) == num_processes():  # another number of processes continues with the noise of its seeds
            self._random_state = streams[rank()]
            set_random_state(self._random_state)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keeps the position of the data, should there be nothing left to train."""
        self._position = checkpoint.get(key_of_data(trainer), {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the random streams, whatever has drawn from them since the state was loaded."""
        self._position = position_of_data(trainer)
        self._written_at = self._tried_at = trainer.global_step
        self._tried = time.monotonic()
        if self._random_state is not None:
            set_random_state(self._random_state)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Keeps the position of the data: the next batch is taken before the next step begins."""
        self._position = position_of_data(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the identity of the run, and puts the position between two steps."""
        checkpoint[HEADER] = {"format": FORMAT, "version": _version(), **self.identity}
        if self._position:
            checkpoint[key_of_data(trainer)] = self._position
        put_between_steps(trainer, checkpoint, self._position)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the directory to all processes: they take part in what the first of them alone writes."""
        self.directory = trainer.strategy.broadcast(self.directory)

    def forget_lost(self, trainer: Trainer) -> str | None:
        """Forgets a best state whose file is gone, so that the best one from now on is kept; what it was, if so."""
        lost = self.has_best and self.directory is not None and not (self.directory / BEST).exists()
        if not trainer.strategy.broadcast(lost):
            return None
        told, self._best, self._best_of = self.told_best, -math.inf, None
        _log.warning("%s with %s is gone; the best weights from step %d on are kept", BEST, told, trainer.global_step)
        return told

    def consider(self, trainer: Trainer, value: float) -> bool:
        """Keeps the present state as the best one if `value` of the monitored metric is the best so far.

        All processes decide as the first one does. Returns whether it is, and could be written.
        """
        assert self.monitor is not None
        own = -value if self.monitor.startswith("-") else value
        score: float = trainer.strategy.broadcast(own)
        if not math.isfinite(score) or score <= self._best or trainer.global_step == 0:
            return False
        before, self._best, self._best_of = (self._best, self._best_of), score, self.monitor
        if not self._save(trainer, BEST):
            self._best, self._best_of = before
            return False
        return True

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

    def keep_best_and_last(self) -> None:
        """Removes previous.ckpt, of a run that has ended well: it stands in for a last.ckpt that came to harm."""
        if self.directory is not None and (self.directory / LAST).exists():
            (self.directory / PREVIOUS).unlink(missing_ok=True)

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
                "no checkpoint of step %d could be written (%s); the last one is %s; training continues",
                trainer.global_step,
                error.strerror or error,
                self.newest() or "none",
            )
        return trainer.strategy.broadcast(saved)


def best_of(content: Mapping[str, Any]) -> float:
    """The best value of the monitored metric up to a checkpoint, from its content."""
    return float(content["callbacks"][Checkpoints.__qualname__]["best"])


def _give_second_name(file: Path, name: Path) -> None:
    # So that there is a last checkpoint at every moment.
    name.unlink(missing_ok=True)
    try:
        os.link(file, name)
    except OSError:  # a file system without second names
        os.replace(file, name)


@functools.cache
def _version() -> str:
    return version("reparam_suite")
