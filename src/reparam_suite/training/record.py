"""What training reached, recorded at intervals: no call to a logger and no wait for the device in between."""

import resource
import time
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.models import VAE
from reparam_suite.training.checkpoints import Checkpoints
from reparam_suite.training.errors import NonFiniteLoss
from reparam_suite.training.journal import Journal


def due(step: int, every: int) -> bool:
    """Whether something that happens every `every` steps, and after the first, happens after step `step`."""
    return step == 1 or (step > 0 and step % every == 0)


@final
class StepRecord(Callback):
    """Records train/elbo (or what the objective is), its parts, speed and memory.

    Values are means over the steps since the last record. The steps' own values stay on the device until then; a
    value that is not finite stops the run, and the step is named. So does a parameter, when a checkpoint is due.

    Args:
        every: steps between records; the first and the last are recorded in any case.
        journal: where to.
        checkpoints: which knows the last finite state.
    """

    def __init__(self, *, every: int, journal: Journal, checkpoints: Checkpoints) -> None:
        self._every = every
        self._journal = journal
        self._checkpoints = checkpoints
        self._objectives: list[Tensor] = []
        self._kls: list[Tensor] = []
        self._kl_weights: list[float] = []
        self._steps: list[int] = []
        self._recorded_at = 0
        self._num_rows = 0
        self._seconds = 0.0
        self._since: float | None = None

    def on_train_batch_start(self, *_: Any) -> None:
        """Starts the clock, if it stands."""
        if self._since is None:
            self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Tensor, batch_idx: int
    ) -> None:
        """Keeps the step's values; now and then records them."""
        assert isinstance(pl_module, VAE)
        assert pl_module.last_objective is not None
        self._objectives.append(pl_module.last_objective)
        self._steps.append(trainer.global_step)
        if pl_module.last_kl is not None:
            self._kls.append(pl_module.last_kl)
            self._kl_weights.append(pl_module.last_kl_weight)
        self._num_rows += len(batch)
        if due(trainer.global_step, self._every) and trainer.global_step > self._recorded_at:
            self._record(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock: validation is no training step. No checkpoint is written of a state that is not finite."""
        self.pause()
        self._check_finite(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """No checkpoint is written of a state that is not finite."""
        self._check_finite(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records the last step."""
        assert isinstance(pl_module, VAE)
        self._check_finite(trainer, pl_module)
        self._record(trainer, pl_module)

    def pause(self) -> None:
        """Stops the clock until the next batch."""
        if self._since is not None:
            self._seconds += time.perf_counter() - self._since
            self._since = None

    def _record(self, trainer: Trainer, model: VAE) -> None:
        if not self._objectives:
            return
        self._check_objectives()
        self.pause()
        num_steps = len(self._objectives)
        metrics = self._reached(model)
        if model.kl_warmup_steps:
            metrics["train/kl_weight"] = model.last_kl_weight
        metrics |= {
            "time/ms_per_step": 1e3 * self._seconds / num_steps,
            "time/samples_per_second": self._num_rows / self._seconds,
            "memory/peak_mib": _peak_memory(model.device),
        }
        self._journal.write(metrics, trainer.global_step)
        self._recorded_at = trainer.global_step
        self._objectives.clear()
        self._steps.clear()
        self._kls.clear()
        self._kl_weights.clear()
        self._num_rows, self._seconds = 0, 0.0

    def _reached(self, model: VAE) -> dict[str, float]:
        """The objective and, where it has them, its parts; the weight of the KL in training is taken off again."""
        objectives = torch.stack(self._objectives)
        if not self._kls:
            return {f"train/{model.objective_name}": objectives.mean().item()}
        kls = torch.stack(self._kls)
        reconstruction = (objectives + kls.new_tensor(self._kl_weights) * kls).mean().item()
        kl = kls.mean().item()
        relaxed = "relaxed_" if model.estimator.relaxed else ""
        return {
            f"train/{model.objective_name}": reconstruction - kl,
            f"train/{relaxed}reconstruction": reconstruction,
            "train/kl": kl,
        }

    def _check_objectives(self) -> None:
        if not self._objectives:
            return
        objectives = torch.stack(self._objectives)
        unfinite = (~objectives.isfinite()).nonzero()
        if len(unfinite):
            first = int(unfinite[0])
            what = f"the training objective is {objectives[first].item()}"
            raise NonFiniteLoss(what, step=self._steps[first], checkpoint=self._checkpoints.newest())

    def _check_finite(self, trainer: Trainer, model: LightningModule) -> None:
        self._check_objectives()
        finite = {name: each.isfinite().all() for name, each in model.named_parameters()}
        if not torch.stack(list(finite.values())).all():
            name = next(name for name, each in finite.items() if not each)
            what = f"{name} has become NaN or infinite"
            raise NonFiniteLoss(what, step=trainer.global_step, checkpoint=self._checkpoints.newest())


@final
class Validation(Callback):
    """Records the held-out bounds, also before the first step and after the last, where Lightning does not validate.

    Args:
        journal: where to.
        record: whose clock stands still meanwhile.
        checkpoints: which keep the best.
    """

    def __init__(self, *, journal: Journal, record: StepRecord, checkpoints: Checkpoints) -> None:
        self._journal = journal
        self._record = record
        self._checkpoints = checkpoints

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validates before the first step; a resumed run has been there."""
        if trainer.global_step == 0:
            self._validate(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning has validated."""
        if not trainer.sanity_checking:
            held_out = {name: v.item() for name, v in trainer.callback_metrics.items() if name.startswith("val/")}
            self._keep(trainer, held_out)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validates after the last step."""
        if self._journal.step_of("val/elbo") != trainer.global_step:
            self._validate(trainer, pl_module)

    def _validate(self, trainer: Trainer, model: LightningModule) -> None:
        assert isinstance(model, VAE)
        self._record.pause()
        self._keep(trainer, model.validate_on(trainer.datamodule.val_dataloader()))  # type: ignore[attr-defined]

    def _keep(self, trainer: Trainer, held_out: dict[str, float]) -> None:
        self._journal.write(held_out, trainer.global_step)
        self._checkpoints.consider(trainer, held_out["val/elbo"])


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
