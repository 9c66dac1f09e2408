"""Gradient variance along training."""

from typing import final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.models import VAE
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord, due


@final
class GradientRecord(Callback):
    """Records grad/GROUP/variance, its standard error and grad/GROUP/snr after the first step, the last and every n-th.

    One minibatch is fixed for the whole run. Measuring leaves training as it is, to the last bit.

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
        statistics = gradient_statistics(model, trainer.datamodule.sample_batch("train"))  # type: ignore[attr-defined]
        metrics = {}
        for group, measured in statistics.items():
            metrics[f"grad/{group}/variance"] = float(measured.variance)
            metrics[f"grad/{group}/variance_standard_error"] = float(measured.standard_error)
            metrics[f"grad/{group}/snr"] = float(measured.snr)
        self._journal.write(metrics, trainer.global_step)
