"""Private names of Lightning that training relies on, each with the reason why no public one will do.

`tests/training/test_lightning_internals.py` fails when one of them is gone or means something else.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.strategies.launchers.subprocess_script import _basic_subprocess_cmd
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging
from lightning.pytorch.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult
from lightning.pytorch.loops.progress import _BaseProgress
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import Tensor
from torch.optim import Optimizer

__all__ = [
    "DataFetcher",
    "EpochLoop",
    "SubprocessScriptLauncher",
    "averaging_start_and_rates",
    "batches_that_stepped",
    "loss_and_outputs",
    "relaunch_command",
    "set_batches_that_stepped",
    "set_progress",
    "validate_now",
]

DataFetcher = _DataFetcher

SubprocessScriptLauncher = _SubprocessScriptLauncher
"""Starts the other processes of a machine; `Replicas` starts them with arguments of its own and looks after them."""

# What an own validation must leave as it was: the connector's view of the loop that is running, and its last values.
_CONNECTOR_STATE = ("_first_loop_iter", "_current_fx", "_callback_metrics", "_logged_metrics", "_progress_bar_metrics")


class EpochLoop(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with names for the parts that `BatchLoop` needs.

    The class can be replaced on a trainer, and no public one exists. Its counters are what checkpoints hold.
    """

    def count_step(self) -> None:
        """Counts a step for loggers; of the last batch of an `advance` Lightning does it."""
        self._batches_that_stepped += 1

    def something_is_due(self, data_fetcher: DataFetcher) -> bool:
        """Whether a validation, the end of the epoch or a stop comes before the next batch."""
        trainer = self.trainer
        return (
            trainer.should_stop
            or trainer.received_sigterm
            or self._is_training_done
            or self._should_check_val_fx(data_fetcher)
        )

    def prefetches(self, data_fetcher: DataFetcher) -> bool:
        """Whether batches come from the plain fetcher, which hands over (batch, index, loader)."""
        return type(data_fetcher) is _PrefetchDataFetcher

    def step_schedulers(self) -> None:
        """Steps the schedulers that Lightning steps after an optimizer step: not those that wait for a metric."""
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)

    def begin_batch(self, batch: Any) -> None:
        """Tells `self.log` that a batch begins."""
        self.trainer._logger_connector.on_batch_start(batch)

    def end_batch_of_logs(self) -> None:
        """Makes what `self.log` was given in this batch part of the trainer's metrics, if it was given anything."""
        if self._results:
            self.trainer._logger_connector.on_batch_end()

    def send_logs(self) -> None:
        """Hands what `self.log` was given to the loggers, when Lightning would."""
        if self._results:
            self.trainer._logger_connector.update_train_step_metrics()

    def clip_gradients(self, optimizer: Optimizer) -> None:
        """Clips as the trainer and the model say."""
        trainer = self.trainer
        trainer.precision_plugin._clip_gradients(
            trainer.lightning_module,
            optimizer,
            trainer.gradient_clip_val,
            gradient_clip_algorithm=trainer.gradient_clip_algorithm,
        )

    @staticmethod
    def enter_hook(model: LightningModule, name: str | None) -> None:
        """Names the hook that runs: `self.log` decides by it what a value is a mean over."""
        vars(model)["_current_fx_name"] = name  # a module's own way looks for parameters first, ten times as long


def loss_and_outputs(output: Any) -> tuple[Tensor | None, dict[str, Any]]:
    """The loss of what a training step returned, a tensor, a mapping or None, and the outputs that callbacks see."""
    result = ClosureResult.from_training_step_output(output)
    if result.closure_loss is None:
        Closure.warning_cache.warn("`training_step` returned `None`. If this was on purpose, ignore this warning...")
        return None, {}
    return result.closure_loss, result.asdict()


def averaging_start_and_rates(callback: StochasticWeightAveraging) -> tuple[int | float, float | list[float]]:
    """The epoch, or the share of epochs, with which averaging begins, and its learning rates: no name is public."""
    return callback._swa_epoch_start, callback._swa_lrs


def batches_that_stepped(trainer: Trainer) -> int:
    """The step that Lightning hands to loggers: one behind `global_step` until a batch and its validation are over."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def set_batches_that_stepped(trainer: Trainer, number: int) -> None:
    """Corrects the step that Lightning hands to loggers; it may count one too many as it resumes."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = number


def set_progress(checkpoint: dict[str, Any], *, epoch: int, num_done: int, num_steps: int, loader: Any) -> None:
    """Puts the counters of a checkpoint between two batches.

    The layout of these counters is private, and the only thing from which Lightning resumes.

    Args:
        checkpoint: as Lightning saves it; changed in place.
        epoch: in progress, from 0.
        num_done: its batches that are done.
        num_steps: optimizer steps.
        loader: the state of the training data; empty where they have none.
    """
    fit = checkpoint["loops"]["fit_loop"]
    batches, epochs = fit["epoch_loop.batch_progress"], fit["epoch_progress"]
    checkpoint["epoch"] = epoch
    total = batches["total"]["processed"]
    _count(batches["total"], begun=total, ended=total)
    _count(batches["current"], begun=num_done, ended=num_done)
    batches["is_last_batch"] = False
    for progress in epochs.values():
        _count(progress, begun=epoch + (num_done > 0), ended=epoch)
    fit["epoch_loop.state_dict"]["_batches_that_stepped"] = num_steps
    if fit["state_dict"].pop("combined_loader", None) is not None and loader:
        fit["state_dict"]["combined_loader"] = [loader]


def _count(progress: dict[str, int], *, begun: int, ended: int) -> None:
    progress |= {"ready": begun, "started": begun, "processed": ended, "completed": ended}


def validate_now(trainer: Trainer, callbacks: Sequence[Callback]) -> dict[str, float]:
    """Runs the validation that belongs to a fit, and returns its metrics; empty where there is none to run.

    `Trainer.validate` cannot be called within a fit, and the loop that a fit validates with has no public name. What
    is logged goes to the trainer's loggers. The counters, the metrics that the trainer shows and its state are as
    before, and callbacks other than those given are not called: they see the validations that the trainer's options ask
    for.
    """
    if not trainer.enable_validation:
        return {}
    loop, connector, state = trainer.fit_loop.epoch_loop.val_loop, trainer._logger_connector, trainer.state
    before = {name: getattr(connector, name) for name in _CONNECTOR_STATE}
    others, state_before, grad = trainer.callbacks, (state.fn, state.stage), torch.is_grad_enabled()  # type: ignore[attr-defined]
    connector._callback_metrics, connector._logged_metrics, connector._progress_bar_metrics = {}, {}, {}
    connector._first_loop_iter = None
    trainer.callbacks = list(callbacks)  # type: ignore[attr-defined]
    trainer.validating = True
    with _progress_kept(loop.batch_progress):
        try:
            loop.restarting = False
            loop.run()
            metrics = {name: float(value) for name, value in connector._callback_metrics.items()}
        finally:
            connector.reset_results()
            for name, value in before.items():
                setattr(connector, name, value)
            state.fn, state.stage = state_before
            trainer.callbacks = others  # type: ignore[attr-defined]
            torch.set_grad_enabled(grad)
    return metrics


@contextmanager
def _progress_kept(progress: _BaseProgress) -> Iterator[None]:
    before = progress.state_dict()
    try:
        yield
    finally:
        progress.load_state_dict(before)


def relaunch_command() -> Sequence[str]:
    """The command that started this process, script or module, as Lightning would start it once more."""
    return _basic_subprocess_cmd()
