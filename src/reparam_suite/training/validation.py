"""Validation: the metrics that a model logs, also before the first step and after the last."""

import math
from difflib import get_close_matches
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.training.checkpoints import Checkpoints
from reparam_suite.training.errors import UnknownMonitorError
from reparam_suite.training.journal import Journal
from reparam_suite.training.journal_logger import JournalLogger
from reparam_suite.training.lightning_internals import validate_now
from reparam_suite.training.record import StepRecord


class HeldOutCallback(Callback):
    """A callback whose validation hooks are also called in the validations before the first step and after the last."""


@final
class Validation(Callback):
    """Records whatever the model logs, and validates before the first step and after the last as well.

    Everything given to `self.log` in training, validation or test is recorded in the journal, once. The two further
    validations are Lightning's own, with the model's hooks and the trainer's limits; their draws move no generator, and
    only callbacks of the kind `HeldOutCallback` are called in them.

    Args:
        journal: to record in.
        record: whose clock is stopped meanwhile.
        checkpoints: which keep the best by their monitor; its value and step are recorded as NAME_best, NAME_best_step.
    """

    def __init__(self, *, journal: Journal, record: StepRecord, checkpoints: Checkpoints) -> None:
        self._journal = journal
        self._record = record
        self._checkpoints = checkpoints
        self._validated_at = -1
        self._loggers: list[Logger] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The step of the last validation."""
        return {"validated_at": self._validated_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state."""
        self._validated_at = state_dict["validated_at"]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the trainer its own loggers back."""
        if self._loggers is not None:
            trainer.loggers, self._loggers = self._loggers, None

    def _log_to_journal(self, trainer: Trainer) -> None:
        # Not earlier: Lightning warns of short epochs where there is a logger, and hyperparameters are no metrics.
        # Loggers of others keep their place; the run's own is kept by the journal.
        if not any(isinstance(logger, JournalLogger) for logger in trainer.loggers):
            own: object = self._journal.logger
            self._loggers = trainer.loggers
            others = [logger for logger in trainer.loggers if logger is not own]
            trainer.loggers = [JournalLogger(journal=self._journal, trainer=trainer), *others]

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Has Lightning log to the journal."""
        if not trainer.sanity_checking:
            self._log_to_journal(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Has Lightning log to the journal."""
        self._log_to_journal(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Has Lightning log to the journal, and validates before the first step; a resumed run has done so.

        Raises:
            UnknownMonitorError: if validation gives no metric with the name of the monitor.
        """
        self._log_to_journal(trainer)
        if trainer.global_step == 0:
            self._check_monitor(self._validate(trainer, pl_module))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Considers the state for the best checkpoint, after a validation of Lightning's."""
        if not trainer.sanity_checking:
            self._consider(trainer, {name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validates after the last step."""
        self._log_to_journal(trainer)  # where nothing was left to train, training has not started
        if self._validated_at != trainer.global_step:
            self._validate(trainer, pl_module)

    def _validate(self, trainer: Trainer, model: LightningModule) -> dict[str, float]:
        self._record.pause()
        heard = [callback for callback in trainer.callbacks if isinstance(callback, HeldOutCallback)]  # type: ignore[attr-defined]
        with forked_generator(model.device):
            metrics = validate_now(trainer, heard)
        self._consider(trainer, metrics)
        return metrics

    def _consider(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._validated_at = trainer.global_step
        name = self._checkpoints.monitored
        if name is None:
            return
        if (lost := self._checkpoints.forget_lost(trainer)) is not None:
            told = f"those from step {trainer.global_step} on: the file of earlier ones, with {lost}, was gone"
            self._journal.tag({"best_weights": told})
        if self._checkpoints.consider(trainer, metrics.get(name, math.nan)):
            best = {f"{name}_best": self._checkpoints.best, f"{name}_best_step": float(trainer.global_step)}
            self._journal.write(best, trainer.global_step)

    def _check_monitor(self, metrics: dict[str, float]) -> None:
        name = self._checkpoints.monitored
        if name is not None and metrics and name not in metrics:
            raise UnknownMonitorError(name, sorted(metrics), get_close_matches(name, metrics, n=1))
