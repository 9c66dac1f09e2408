"""What training reached, recorded at intervals: no call to a logger and no wait for the device in between."""

import resource
import time
from typing import Any, NamedTuple, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.models import VAE
from reparam_suite.runtime.processes import num_processes, total
from reparam_suite.training.checkpoints import Checkpoints
from reparam_suite.training.errors import NonFiniteLoss, Stopped
from reparam_suite.training.journal import Journal


def due(step: int, every: int) -> bool:
    """Whether something that happens every `every` steps, and after the first, happens after step `step`."""
    return step == 1 or (step > 0 and step % every == 0)


@final
class _Step(NamedTuple):
    # What one batch left; the values stay on the device.
    number: int
    objective: Tensor
    kl: Tensor | None
    kl_weight: float
    num_rows: int


@final
class StepRecord(Callback):
    """Records train/elbo (or what the objective is), its parts, speed and memory.

    Values are means over the steps since the last record. The steps' own values stay on the device until then, and in
    the process that has them: those of several processes are put together when a record is due. A value that is not
    finite stops the run, and the step is named. So does a parameter, when a checkpoint is due.

    Args:
        every: steps between records; the first and the last are recorded in any case, and the last before an error.
        journal: where to.
        checkpoints: which knows the last finite state.
    """

    def __init__(self, *, every: int, journal: Journal, checkpoints: Checkpoints) -> None:
        self._every = every
        self._journal = journal
        self._checkpoints = checkpoints
        self._steps: list[_Step] = []
        self._num_together = 0  # of these steps, the first so many have the values of all processes
        self._recorded_at = 0
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
        assert pl_module.reached is not None
        step = trainer.global_step
        self._steps.append(_Step(step, *pl_module.reached, len(batch)))
        if due(step, self._every) and step > self._recorded_at:
            self._check_objectives()
            self._record(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock: validation is no training step. No checkpoint is written of a state that is not finite."""
        self.pause()
        self.check_finite(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock. No checkpoint is written of a state that is not finite."""
        self.pause()
        self.check_finite(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records the last steps, and keeps them: a run that is made longer records them with those to come."""
        assert isinstance(pl_module, VAE)
        self.check_finite(trainer, pl_module)
        self.pause()
        steps, seconds = self._steps, self._seconds
        self._record(pl_module)
        self._steps, self._seconds = steps, seconds

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Records the steps since the last record, up to one that was not finite; not if a checkpoint has them."""
        assert isinstance(pl_module, VAE)
        if isinstance(exception, Stopped):
            return
        if num_processes() > 1 and not isinstance(exception, NonFiniteLoss):
            return  # a checkpoint has what was put together; the others, who have their share of the rest, may be gone
        broken = self._first_unfinite()
        del self._steps[len(self._steps) if broken is None else broken :]
        if self._steps and self._steps[-1].number > self._recorded_at:
            self._record(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """All that was recorded, and the steps since."""
        kls = [each.kl for each in self._steps if each.kl is not None]
        return {
            "journal": self._journal.state_dict(),
            "recorded_at": self._recorded_at,
            "seconds": self._seconds,
            "number": [each.number for each in self._steps],
            "objective": torch.stack([each.objective for each in self._steps]) if self._steps else None,
            "kl": torch.stack(kls) if kls else None,
            "kl_weight": [each.kl_weight for each in self._steps],
            "num_rows": [each.num_rows for each in self._steps],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self._journal.load_state_dict(state_dict["journal"])
        self._recorded_at, self._seconds = state_dict["recorded_at"], state_dict["seconds"]
        numbers, kls = state_dict["number"], state_dict["kl"]
        self._steps = [
            _Step(*values)
            for values in zip(
                numbers,
                state_dict["objective"] if numbers else [],
                [None] * len(numbers) if kls is None else kls,
                state_dict["kl_weight"],
                state_dict["num_rows"],
                strict=True,
            )
        ]
        self._num_together = len(self._steps)  # they are put together before a checkpoint is written

    def pause(self) -> None:
        """Stops the clock until the next batch."""
        if self._since is not None:
            self._seconds += time.perf_counter() - self._since
            self._since = None

    def _record(self, model: VAE) -> None:
        self._put_together()
        if not self._steps:
            return
        self.pause()
        number = self._steps[-1].number
        metrics = self._reached(model)
        if model.kl_warmup_steps:
            metrics["train/kl_weight"] = self._steps[-1].kl_weight
        metrics |= {
            "time/ms_per_step": 1e3 * self._seconds / (number - self._recorded_at),
            "time/samples_per_second": sum(each.num_rows for each in self._steps) / self._seconds,
            "memory/peak_mib": _peak_memory(model.device),
        }
        self._recorded_at = number
        self._steps, self._num_together, self._seconds = [], 0, 0.0
        self._journal.write(metrics, self._recorded_at)

    def _put_together(self) -> None:
        """Makes the values of the steps since the last call those of the whole batch, in one exchange."""
        own = self._steps[self._num_together :]
        if num_processes() > 1 and own:
            objectives = torch.stack([each.objective for each in own]).double()
            kls = torch.stack([objectives.new_zeros(()) if each.kl is None else each.kl.double() for each in own])
            rows = objectives.new_tensor([each.num_rows for each in own])
            sums = total(torch.stack([rows, rows * objectives, rows * kls]))
            num_rows = sums[0].tolist()
            self._steps[self._num_together :] = [
                each._replace(
                    objective=objective, kl=None if each.kl is None else kl, num_rows=round(num_rows[position])
                )
                for position, (each, objective, kl) in enumerate(zip(own, *(sums[1:] / sums[0]), strict=True))
            ]
        self._num_together = len(self._steps)

    def _reached(self, model: VAE) -> dict[str, float]:
        """The objective and, where it has them, its parts; the weight of the KL in training is taken off again."""
        objectives = torch.stack([each.objective for each in self._steps])
        kls = [each.kl for each in self._steps if each.kl is not None]
        if len(kls) < len(self._steps):
            return {f"train/{model.objective_name}": objectives.mean().item()}
        kl = torch.stack(kls)
        reconstruction = objectives + kl.new_tensor([each.kl_weight for each in self._steps]) * kl
        relaxed = "relaxed_" if model.estimator.relaxed else ""
        return {
            f"train/{model.objective_name}": (reconstruction - kl).mean().item(),
            f"train/{relaxed}reconstruction": reconstruction.mean().item(),
            "train/kl": kl.mean().item(),
        }

    def _first_unfinite(self) -> int | None:
        if not self._steps:
            return None
        unfinite = (~torch.stack([each.objective for each in self._steps]).isfinite()).nonzero()
        return int(unfinite[0]) if len(unfinite) else None

    def _check_objectives(self) -> None:
        self._put_together()
        if (broken := self._first_unfinite()) is not None:
            step = self._steps[broken]
            what = f"the training objective is {step.objective.item()}"
            raise NonFiniteLoss(what, step=step.number, checkpoint=self._checkpoints.newest())

    def check_finite(self, trainer: Trainer, model: LightningModule) -> None:
        """Refuses a state that is not finite.

        Raises:
            NonFiniteLoss: naming the step.
        """
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
        with trainer.precision_plugin.val_step_context():
            held_out = model.validate_on(trainer.datamodule.val_dataloader())  # type: ignore[attr-defined]
        self._keep(trainer, held_out)

    def _keep(self, trainer: Trainer, held_out: dict[str, float]) -> None:
        self._journal.write(held_out, trainer.global_step)
        self._checkpoints.consider(trainer, held_out["val/elbo"])


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
