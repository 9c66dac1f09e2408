"""The variance of the gradient along the training path, as the papers around DisARM report it."""

from typing import Any, cast, final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from reparam_suite.diagnostics import MeasuredModel, PathVariance, trained_parameters
from reparam_suite.runtime import checks
from reparam_suite.training.gradients import has_estimator
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import due

DECAY = 0.999
"""Per step, as in those papers."""

STRIDE = 8
"""Steps between the gradients taken in, with `DECAY` to that power: the same window of a thousand steps at an eighth of
the cost. A squared mean of fewer gradients contains more of their noise: the result is smaller by 0.35 %."""


@final
class PathRecord(Callback):
    """Records grad_path/PART/variance_per_element of the first part of the model: the encoder of a VAE.

    It contains noise, choice of data and drift together, unlike grad/PART/variance. A moving average over the gradients
    that the optimizer steps on; see `PathVariance`. Recorded where the gradient's variance is, once there are two
    gradients to average. A model without an `estimator` has no such record.

    Args:
        every: steps between records.
        journal: to record in.

    Attributes:
        reads_gradients_in: the hooks that read gradients and do nothing else: after a compiled step they find them.
    """

    reads_gradients_in = ("on_before_optimizer_step",)

    def __init__(self, *, every: int, journal: Journal) -> None:
        self._every = checks.integer("every", every, least=1)
        self._journal = journal
        self._name = ""
        self._path: PathVariance | None = None
        self._saved: dict[str, Any] = {}

    @property
    def state_key(self) -> str:
        """The name of the state in a checkpoint."""
        return type(self).__qualname__

    def state_dict(self) -> dict[str, Any]:
        """The moving averages."""
        return self._saved if self._path is None else self._path.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state, as soon as there is a model."""
        self._saved = state_dict

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Takes in the gradient of every eighth step."""
        if trainer.global_step % STRIDE == 0 and (path := self._of(pl_module)) is not None:
            path.update()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Records, if it is due."""
        if due(trainer.global_step, self._every):
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records after the last step."""
        self._write(trainer, pl_module)

    def _of(self, model: LightningModule) -> PathVariance | None:
        if self._path is None and has_estimator(model):
            part, parameters = next(iter(trained_parameters(cast("MeasuredModel", model)).items()), ("", []))
            if not parameters:
                return None
            self._name = f"grad_path/{part}/variance_per_element"
            self._path = PathVariance(parameters, decay=DECAY**STRIDE)
            if self._saved:
                self._path.load_state_dict(self._saved)
        return self._path

    def _write(self, trainer: Trainer, model: LightningModule) -> None:
        path = self._of(model)
        if path is not None and path.num_steps > 1 and self._journal.step_of(self._name) != trainer.global_step:
            self._journal.write({self._name: float(path.value())}, trainer.global_step)
