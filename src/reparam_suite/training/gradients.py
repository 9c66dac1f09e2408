"""Gradient variance along training, and what it is worth against the time that a gradient takes."""

import math
from typing import final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.diagnostics import gradient_cost, statistics_over_processes
from reparam_suite.models import VAE
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord, due


@final
class GradientRecord(Callback):
    """Records the estimator's noise, by part of the model and by variational parameter, along training.

    grad/GROUP/variance, its standard error, grad/GROUP/snr and grad/GROUP/work_normalized_variance: after the first
    step, the last and every n-th; snr only where there is noise. One minibatch is fixed for the whole run. Measuring
    leaves training as it is, to the last bit.

    cost/evaluations, cost/ms_per_gradient and cost/peak_mib: at the run's first measurement alone. The milliseconds are
    the median of nine, and as noisy as the machine is busy; they multiply every variance of the run, so that a curve of
    work-normalised variance has the shape of the variance's own.

    Args:
        every: steps between measurements.
        journal: where to.
        record: whose clock stands still meanwhile.
    """

    def __init__(self, *, every: int, journal: Journal, record: StepRecord) -> None:
        self._every = every
        self._journal = journal
        self._record = record
        self._measured_at = -1

    def state_dict(self) -> dict[str, int]:
        """The step of the last measurement."""
        return {"measured_at": self._measured_at}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Goes on from there."""
        self._measured_at = state_dict["measured_at"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Tensor, batch_idx: int
    ) -> None:
        """Measures, if it is due."""
        if due(trainer.global_step, self._every) and trainer.global_step > self._measured_at:
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures after the last step."""
        if self._measured_at != trainer.global_step:
            self._measure(trainer, pl_module)

    def _measure(self, trainer: Trainer, model: LightningModule) -> None:
        assert isinstance(model, VAE)
        self._record.pause()
        self._measured_at = trainer.global_step
        x: Tensor = trainer.datamodule.sample_batch("train")  # type: ignore[attr-defined]
        if (milliseconds := self._journal.latest("cost/ms_per_gradient")) is None:
            cost = gradient_cost(model, x)
            milliseconds = cost.milliseconds
            costs = {
                "evaluations": cost.evaluations,
                "ms_per_gradient": milliseconds,
                "peak_mib": cost.peak_bytes / 2**20,
            }
            self._journal.write({f"cost/{name}": value for name, value in costs.items()}, trainer.global_step)
        metrics = {}
        for group, measured in statistics_over_processes(model, x).items():
            variance = float(measured.variance)
            metrics[f"grad/{group}/variance"] = variance
            metrics[f"grad/{group}/variance_standard_error"] = float(measured.standard_error)
            if math.isfinite(snr := float(measured.snr)):
                metrics[f"grad/{group}/snr"] = snr
            metrics[f"grad/{group}/work_normalized_variance"] = variance * milliseconds
            if measured.process_variance is not None:
                metrics[f"grad/{group}/variance_of_one_process"] = float(measured.process_variance)
        self._journal.write(metrics, trainer.global_step)
