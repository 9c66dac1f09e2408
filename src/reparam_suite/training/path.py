"""The variance of the gradient as the DisARM line of papers has it, along the training path."""

from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from reparam_suite.diagnostics import PathVariance
from reparam_suite.models import VAE
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import due

NAME = "grad_path/encoder/variance_per_element"

DECAY = 0.999
"""A step, as in those papers."""

STRIDE = 8
"""Steps between the gradients taken in, with `DECAY` to that power: the same window of a thousand steps at an eighth of
the cost. A squared mean of fewer gradients holds more of their noise: the figure is smaller by 0.35 %."""


@final
class PathRecord(Callback):
    """Records grad_path/encoder/variance_per_element: noise, choice of data and drift together, unlike grad/encoder.

    A moving average over the gradients that the optimizer steps on; see `PathVariance`. Recorded where the gradient's
    variance is, once there are two gradients to average.

    Args:
        every: steps between records.
        journal: where to.
    """

    def __init__(self, *, every: int, journal: Journal) -> None:
        self._every = every
        self._journal = journal
        self._path: PathVariance | None = None
        self._saved: dict[str, Any] = {}

    @property
    def state_key(self) -> str:
        """Under what name the state lies in a checkpoint."""
        return type(self).__qualname__

    def state_dict(self) -> dict[str, Any]:
        """The moving averages."""
        return self._saved if self._path is None else self._path.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there, as soon as there is a model."""
        self._saved = state_dict

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Takes in the gradient of every eighth step."""
        if trainer.global_step % STRIDE == 0:
            self._of(pl_module).update()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Tensor, batch_idx: int
    ) -> None:
        """Records, if it is due."""
        if due(trainer.global_step, self._every):
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records after the last step."""
        self._write(trainer, pl_module)

    def _of(self, model: LightningModule) -> PathVariance:
        if self._path is None:
            assert isinstance(model, VAE)
            self._path = PathVariance(model.parameter_groups()["encoder"], decay=DECAY**STRIDE)
            if self._saved:
                self._path.load_state_dict(self._saved)
        return self._path

    def _write(self, trainer: Trainer, model: LightningModule) -> None:
        path = self._of(model)
        if path.num_steps > 1 and self._journal.step_of(NAME) != trainer.global_step:
            self._journal.write({NAME: float(path.value())}, trainer.global_step)
