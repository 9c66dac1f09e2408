"""Gradient variance along training, in a run of the suite or in any Trainer."""

import logging
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, cast, final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.diagnostics import (
    GradientStatistics,
    MeasuredModel,
    Measurement,
    gradient_cost,
    measuring,
    statistics_over_processes,
)
from reparam_suite.runtime import checks
from reparam_suite.training.budget import MeasuringBudget
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord, due

_log = logging.getLogger(__name__)

_WHAT = "the gradient's variance"


def has_estimator(model: LightningModule) -> bool:
    """Whether a model's gradient can be measured: it has `expectation(batch)` and an `estimator`."""
    return callable(getattr(model, "expectation", None)) and getattr(model, "estimator", None) is not None


def fixed_batch(trainer: Trainer) -> Any | None:
    """The data module's fixed training batch, on the training device; None where it has no `sample_batch`."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    sample = getattr(data, "sample_batch", None)
    return None if sample is None else trainer.strategy.batch_to_device(sample("train"))


def gradient_metrics(measured: Mapping[str, GradientStatistics]) -> dict[str, float]:
    """grad/PART/variance, variance_standard_error and, where there is noise, snr; that of one process of several.

    A part whose variance or error is beyond what its numbers can hold is left out.
    """
    metrics = {}
    for part, statistics in measured.items():
        variance, error = float(statistics.variance), float(statistics.standard_error)
        if not (math.isfinite(variance) and math.isfinite(error)):
            say_that_it_is_beyond(part)
            continue
        metrics[f"grad/{part}/variance"] = variance
        metrics[f"grad/{part}/variance_standard_error"] = error
        if math.isfinite(snr := float(statistics.snr)):
            metrics[f"grad/{part}/snr"] = snr
        if statistics.process_variance is not None:
            metrics[f"grad/{part}/variance_of_one_process"] = float(statistics.process_variance)
    return metrics


@cache
def say_that_it_is_beyond(part: str) -> None:
    """Says once that what was measured of the gradient of a part is beyond the range of its numbers."""
    _log.warning("grad/%s: its size is beyond what float32 holds, and is not recorded; scale the data down", part)


@final
class _RepeatedMeasurement:
    # How the layers lay out their rows is proved once for the whole training.
    def __init__(self) -> None:
        self._measurement: Measurement | None = None

    def statistics(self, model: MeasuredModel, batch: Any) -> dict[str, GradientStatistics]:
        if self._measurement is None:
            with measuring(model):
                self._measurement = Measurement(model, batch)
        return statistics_over_processes(model, batch, measurement=self._measurement)


@final
class GradientVariance(Callback):
    """Logs the variance of the gradient estimate by part of the model, in any Trainer, to the trainer's loggers.

    grad/PART/variance, grad/PART/variance_standard_error and grad/PART/snr: after the first step, the last and every
    n-th, at the number of steps taken. Parts are those of the model's `parameter_groups()`, or its child modules. The
    parameters and the minibatch are fixed, so that the noise is the estimator's alone. The minibatch is the data
    module's `sample_batch("train")`; without one, the first training batch that the callback sees. Training is bitwise
    the same with and without the callback.

    Measurements take at most ten seconds and a quarter of the time of the rest of the run: see `MeasuringBudget`.

    Args:
        every: steps between measurements.

    Raises:
        ValueError: if `every` is below 1.
        TypeError: if it is no integer; when training starts, if the model has no `expectation(batch)` and `estimator`.
    """

    def __init__(self, every: int = 200) -> None:
        self.every = checks.integer("every", every, least=1)
        self._budget = MeasuringBudget(_WHAT)
        self._measurement = _RepeatedMeasurement()
        self._batch: Any = None
        self._measured_at = -1

    def state_dict(self) -> dict[str, Any]:
        """The step of the last measurement, and the time spent."""
        return {"measured_at": self._measured_at, "budget": self._budget.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state."""
        self._measured_at = state_dict["measured_at"]
        self._budget.load_state_dict(state_dict["budget"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the model, and takes the minibatch of the data module if there is one."""
        if not has_estimator(pl_module):
            raise TypeError(
                f"GradientVariance: expected a model with expectation(batch) and an estimator, got "
                f"{type(pl_module).__name__} without"
            )
        self._batch = fixed_batch(trainer)
        self._measurement = _RepeatedMeasurement()  # of this model
        self._budget.begin(trainer.strategy.root_device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Measures, if it is due and fits into the budget."""
        if self._batch is None:
            self._batch = _copied(batch)
        step = trainer.global_step
        if not due(step, self.every) or step <= self._measured_at:
            return
        if step == 1 or self._budget.affords(trainer):
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures after the last step."""
        if self._measured_at != trainer.global_step and self._batch is not None:
            self._measure(trainer, pl_module)

    def _measure(self, trainer: Trainer, model: LightningModule) -> None:
        self._measured_at = trainer.global_step
        with self._budget.measuring():
            metrics = gradient_metrics(self._measurement.statistics(cast("MeasuredModel", model), self._batch))
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.global_step)


@final
class GradientRecord(Callback):
    """Records the estimator's noise, by part of the model and by variational parameter, along training.

    grad/PART/variance, its standard error, grad/PART/snr and grad/PART/work_normalized_variance: after the first
    step, the last and every n-th; snr only where there is noise. One minibatch is fixed for the whole run. Measuring
    leaves training bitwise as it is. A model without `expectation(batch)` and `estimator` has no such record.

    cost/evaluations, cost/ms_per_gradient and cost/peak_mib: at the run's first measurement alone. The milliseconds are
    the median of nine, and as noisy as the machine is busy; they multiply every variance of the run, so that a curve of
    work-normalized variance has the shape of the variance's own.

    Measurements take at most ten seconds and a quarter of the time of the rest of the run: see `MeasuringBudget`.
    The tags gradients.road and gradients.off of the run say how gradients of single data were had, and which layers
    were off: see `GradientStatistics`. Where the gradient cannot be measured, as of a model with batch norm, a line on
    the log and gradients.road give the reason.

    Args:
        every: steps between measurements.
        journal: to record in.
        record: whose clock is stopped meanwhile.

    Attributes:
        road: how gradients were computed, and `off`, the layers that were off: see `GradientStatistics`; None
            before the first measurement.
    """

    def __init__(self, *, every: int, journal: Journal, record: StepRecord) -> None:
        self._every = checks.integer("every", every, least=1)
        self._journal = journal
        self._record = record
        self._budget = MeasuringBudget(_WHAT)
        self._measurement = _RepeatedMeasurement()
        self._measured_at = -1
        self._refused = False
        self.road: str | None = None
        self.off: tuple[str, ...] = ()

    def state_dict(self) -> dict[str, Any]:
        """The step of the last measurement, and the time spent."""
        return {"measured_at": self._measured_at, "budget": self._budget.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state."""
        self._measured_at = state_dict["measured_at"]
        self._budget.load_state_dict(state_dict["budget"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock of the budget."""
        self._measurement = _RepeatedMeasurement()  # of this model
        self._budget.begin(trainer.strategy.root_device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Measures, if it is due and fits into the budget."""
        step = trainer.global_step
        if due(step, self._every) and step > self._measured_at:
            self._record.pause()
            if step == 1 or self._budget.affords(trainer):
                self._measure(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures after the last step."""
        if self._measured_at != trainer.global_step:
            self._measure(trainer, pl_module)

    def _measure(self, trainer: Trainer, model: LightningModule) -> None:
        self._record.pause()
        self._measured_at = trainer.global_step
        if self._refused or not has_estimator(model) or (batch := fixed_batch(trainer)) is None:
            return
        measured_model = cast("MeasuredModel", model)
        try:
            with self._budget.measuring():
                measured = self._measurement.statistics(measured_model, batch)
                milliseconds = self._milliseconds(trainer, measured_model, batch)
        except ValueError as reason:
            self._refused = True
            self._journal.tag({"gradients.road": f"none: {reason}"})
            _log.warning("the variance of the gradient is not recorded: %s", reason)
            return
        first = next(iter(measured.values()), None)
        if first is not None and (first.road, first.off) != (self.road, self.off):
            self.road, self.off = first.road, first.off
            self._journal.tag({"gradients.road": first.road, "gradients.off": ", ".join(first.off) or "none"})
        metrics = gradient_metrics(measured)
        for name, value in list(metrics.items()):
            part, _, kind = name.rpartition("/")
            if kind == "variance":
                metrics[f"{part}/work_normalized_variance"] = value * milliseconds
        self._journal.write(metrics, trainer.global_step)

    def _milliseconds(self, trainer: Trainer, model: MeasuredModel, batch: Any) -> float:
        if (milliseconds := self._journal.latest("cost/ms_per_gradient")) is not None:
            return milliseconds
        cost = gradient_cost(model, batch)
        metrics = {
            "cost/evaluations": float(cost.evaluations),
            "cost/ms_per_gradient": cost.milliseconds,
            "cost/peak_mib": cost.peak_bytes / 2**20,
        }
        self._journal.write(metrics, trainer.global_step)
        return cost.milliseconds


def _copied(batch: Any) -> Any:
    # Data may be served from memory that the next batch is written to.
    if isinstance(batch, Tensor):
        return batch.detach().clone()
    if isinstance(batch, Mapping):
        return {key: _copied(member) for key, member in batch.items()}
    if isinstance(batch, list | tuple):
        return [_copied(member) for member in batch]
    return batch
