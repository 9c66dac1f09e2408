"""The loop over the batches of an epoch: Lightning's own, without what it does at every batch for nobody.

Hooks that nothing overrides, profilers that measure nothing and transfers of data that lie where they should take
Lightning some 0.3 ms a batch, as long as a small model's whole step. This is the one module that relies on Lightning's
private loops; a test holds it to the last bit against the loop that it replaces.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, final

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

_CALLED = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)

# What a model or its data may override that this loop does not call.
_TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
_NOT_CALLED = (*_TRANSFERS, "on_train_batch_start", "backward", "optimizer_step", "optimizer_zero_grad")


def shorten_loop(trainer: Trainer) -> None:
    """Gives a trainer that has not begun the loop of this module."""
    replaced = trainer.fit_loop.epoch_loop
    trainer.fit_loop.epoch_loop = BatchLoop(trainer, min_steps=replaced.min_steps, max_steps=replaced.max_steps)


@final
class BatchLoop(_TrainingEpochLoop):
    """Takes batch after batch until something other than a batch is due: a validation, the end of the epoch, or a stop.

    Callbacks are called at every batch, in Lightning's order and with its counters, so that whatever counts steps
    counts the same ones. A run that asks for more (several processes, mixed precision, gradients accumulated over
    batches, a profiler, schedulers, a model with its own optimizer_step) takes Lightning's own road.
    """

    _users: tuple[object, ...] = ()
    _hooks: dict[str, list[Callable[..., object]]]
    _short: bool
    _clips: bool
    _step: Callable[[], object]

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Looks, at the start of an epoch, at what has to be called."""
        super().on_run_start(data_fetcher)
        trainer, model = self.trainer, self.trainer.lightning_module
        self._step = _step_of(trainer.optimizers[0])
        users = (model, *trainer.callbacks)
        if users != self._users:
            self._users = users
            self._hooks = {name: list(self._hooks_called(name)) for name in _CALLED}
            self._short = self._can_be_short(data_fetcher)
            self._clips = trainer.gradient_clip_val is not None or _has(model, "configure_gradient_clipping")

    def _hooks_called(self, name: str) -> Iterator[Callable[..., object]]:
        trainer, model = self.trainer, self.trainer.lightning_module
        for callback in trainer.callbacks:
            if _has(callback, name):
                yield partial(getattr(callback, name), trainer, model)
        if _has(model, name):
            yield getattr(model, name)

    def _can_be_short(self, data_fetcher: _DataFetcher) -> bool:
        trainer, model = self.trainer, self.trainer.lightning_module
        return (
            isinstance(trainer.strategy, SingleDeviceStrategy)
            and type(trainer.precision_plugin) is Precision
            and isinstance(trainer.profiler, PassThroughProfiler)
            and type(data_fetcher) is _PrefetchDataFetcher
            and trainer.accumulate_grad_batches == 1
            and trainer.val_check_batch is not None  # validation by the clock otherwise
            and not trainer.lr_scheduler_configs
            and model.automatic_optimization
            and not any(_has(model, name) for name in _NOT_CALLED)
            and not any(_has(trainer.datamodule, name) for name in _TRANSFERS)
        )

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Runs batches, one at least."""
        if self.restarting or not self._short:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False
        self._batch(data_fetcher)
        while not self._something_is_due(data_fetcher):
            self._batches_that_stepped += 1  # of the last batch Lightning counts it
            self._batch(data_fetcher)

    def _something_is_due(self, data_fetcher: _DataFetcher) -> bool:
        trainer = self.trainer
        return (
            trainer.should_stop
            or trainer.received_sigterm
            or self._is_training_done
            or self._should_check_val_fx(data_fetcher)
        )

    def _batch(self, data_fetcher: _DataFetcher) -> None:
        trainer, progress = self.trainer, self.batch_progress
        model, connector = trainer.lightning_module, trainer._logger_connector
        optimizer, done = trainer.optimizers[0], self.automatic_optimization.optim_progress.optimizer
        batch, _, _ = next(data_fetcher)
        batch_idx = self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        progress.increment_ready()
        connector.on_batch_start(batch)
        self._call("on_train_batch_start", batch, batch_idx)
        progress.increment_started()

        done.step.increment_ready()
        loss: Tensor = model.training_step(batch, batch_idx)
        done.zero_grad.increment_ready()
        self._call("on_before_zero_grad", optimizer)
        done.zero_grad.increment_started()
        _clear_gradients(optimizer)
        done.zero_grad.increment_completed()
        self._call("on_before_backward", loss)
        loss.backward()
        self._call("on_after_backward")
        self._call("on_before_optimizer_step", optimizer)
        if self._clips:
            trainer.precision_plugin._clip_gradients(
                model, optimizer, trainer.gradient_clip_val, gradient_clip_algorithm=trainer.gradient_clip_algorithm
            )
        self._step()
        done.step.increment_completed()

        progress.increment_processed()
        self._call("on_train_batch_end", {"loss": loss.detach()}, batch, batch_idx)
        if self._results:  # somebody's self.log
            connector.on_batch_end()
        progress.increment_completed()
        if self._results:
            connector.update_train_step_metrics()

    def _call(self, name: str, *args: Any) -> None:
        if hooks := self._hooks[name]:
            model = self.trainer.lightning_module
            model._current_fx_name = name  # self.log asks for it
            for hook in hooks:
                hook(*args)
            model._current_fx_name = None


def _step_of(optimizer: Optimizer) -> Callable[[], object]:
    # The step without the profiler's record that PyTorch opens around it, a twentieth of a small model's whole step.
    # A step that somebody has put in its place, or asked to be told of, is taken as it is.
    told = (
        *optimizer._optimizer_step_pre_hooks,
        *optimizer._optimizer_step_post_hooks,
        *_global_optimizer_pre_hooks,
        *_global_optimizer_post_hooks,
    )
    step = type(optimizer).step
    if told or "step" in vars(optimizer) or not getattr(step, "hooked", False):
        return optimizer.step
    return partial(step.__wrapped__, optimizer)  # type: ignore[attr-defined]


def _clear_gradients(optimizer: Optimizer) -> None:
    # Optimizer.zero_grad does the same in ten times as long: it opens a profiler's record first.
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def _has(owner: Callback | LightningModule | LightningDataModule | None, hook: str) -> bool:
    return is_overridden(hook, owner)
