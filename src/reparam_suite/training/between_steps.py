"""Actions between two steps: a checkpoint when one is due, and the end of the run when a signal has come."""

from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer

from reparam_suite.training.checkpoints import Checkpoints, CheckpointSettings
from reparam_suite.training.position import count_steps
from reparam_suite.training.record import StepRecord
from reparam_suite.training.stopping import StopSignals


@final
class BetweenSteps(Callback):
    """Writes the checkpoints within an epoch; after SIGTERM or Ctrl-C writes one and raises `Stopped`.

    A step that has begun is finished, with the validation and the epoch's end that follow it. This callback has to be
    the first: what the others do at the start of a step belongs to the step.

    Args:
        settings: when a checkpoint is due.
        checkpoints: to write.
        record: whose clock is stopped meanwhile, and which lets no broken state be written.
        signals: which are held back until then.
    """

    def __init__(
        self, *, settings: CheckpointSettings, checkpoints: Checkpoints, record: StepRecord, signals: StopSignals
    ) -> None:
        self._settings = settings
        self._checkpoints = checkpoints
        self._record = record
        self._signals = signals
        self._counted = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Holds signals back from now on."""
        self._signals.wait()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Acts between two steps; within an accumulation of gradients there is no such moment."""
        if batch_idx % trainer.accumulate_grad_batches:
            return
        if not self._counted:
            count_steps(trainer)
            self._counted = True
        stops = self._signals.received is not None
        due = stops or self._checkpoints.due(trainer, self._settings)
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._record.pause()
            self._record.check_finite(trainer, pl_module)
            self._checkpoints.write(trainer)
            if trainer.strategy.reduce_boolean_decision(stops, all=False):
                self._signals.stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops holding signals back: all steps are done and the last checkpoint is written."""
        self._signals.wait_no_longer()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stops holding signals back: nothing trains any more."""
        self._signals.waits = False
