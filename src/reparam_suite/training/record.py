"""The record of training steps, written at intervals: no call to a logger and no wait for the device in between."""

import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from reparam_suite.runtime import checks
from reparam_suite.runtime.processes import num_processes, total
from reparam_suite.training.checkpoints import Checkpoints
from reparam_suite.training.errors import NonFiniteLoss, Stopped
from reparam_suite.training.journal import Journal

KL_WEIGHT, LEARNING_RATE = "train/kl_weight", "train/learning_rate"


def due(step: int, every: int) -> bool:
    """Whether something that happens every `every` steps, and after the first, happens after step `step`."""
    return step == 1 or (step > 0 and step % every == 0)


def num_rows(batch: object) -> int:
    """The rows of a batch: of a tensor, or of the first tensor in a mapping or sequence; 0 without any."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.dim() else 1
    members = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, Sequence) else ()
    if isinstance(batch, str):
        return 0
    return next((found for member in members if (found := num_rows(member))), 0)


@final
class _Step(NamedTuple):
    # The values of one batch; they stay on the device.
    number: int
    name: str
    value: Tensor
    kl: Tensor | None
    num_rows: int


@final
class StepRecord(Callback):
    """Records what the training steps returned, speed and memory.

    train/NAME is the objective, under the name that the model gives it at that step (`objective_name`: "elbo" and so
    on); the loss where a step returns no objective. train/kl is recorded where a step returns "kl",
    train/reconstruction, their sum, where the objective is recorded as an ELBO, and train/kl_weight where the model's
    objective has a `weight_at(step)` that is, or was, not 1. Where learning rates have schedules, train/learning_rate
    is that of the last step; parts with optimizers of their own have one each, train/learning_rate/PART.

    Values are means over the steps since the last record. The steps' own values stay on the device until then, and in
    the process that has them: those of several processes are combined when a record is due. A value that is not finite
    stops the run, and the step is named. So does a parameter, when a checkpoint is due.

    Args:
        every: steps between records; the first and the last are recorded in any case, and the last before an error.
        journal: to record in.
        checkpoints: which know the last finite state.
    """

    def __init__(self, *, every: int, journal: Journal, checkpoints: Checkpoints) -> None:
        self._every = checks.integer("every", every, least=1)
        self._journal = journal
        self._checkpoints = checkpoints
        self._steps: list[_Step] = []
        self._num_combined = 0  # of these steps, the first so many have the values of all processes
        self._recorded_at = 0
        self._seconds = 0.0
        self._since: float | None = None
        self._objective_name = "objective"
        self._rates: dict[str, Any] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Starts the clock, if it stands, and asks the model for the name of the objective of this step."""
        self._objective_name = getattr(pl_module, "objective_name", "objective")
        if trainer.lr_scheduler_configs:
            self._rates = learning_rates(trainer.optimizers)
        if self._since is None:
            self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keeps the step's values; records them when it is due."""
        step = trainer.global_step
        if (taken := self._values_of(trainer, outputs)) is not None:
            self._steps.append(_Step(step, *taken, num_rows(batch)))
        if due(step, self._every) and step > self._recorded_at:
            self._check_objectives()
            self._record(pl_module)

    def _values_of(self, trainer: Trainer, outputs: Any) -> tuple[str, Tensor, Tensor | None] | None:
        if isinstance(outputs, Tensor):
            outputs = {"loss": outputs}
        if not isinstance(outputs, Mapping):
            return None  # the step was skipped
        kl = outputs.get("kl")
        if isinstance(objective := outputs.get("objective"), Tensor):
            return self._objective_name, objective.detach(), None if kl is None else kl.detach()
        if isinstance(loss := outputs.get("loss"), Tensor):
            # Lightning has divided it by the number of batches in a step.
            return "loss", loss.detach() * trainer.accumulate_grad_batches, None
        return None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock: validation is no training step. No checkpoint is written of a state that is not finite."""
        if not trainer.sanity_checking:
            self.pause()
            self.check_finite(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock. No checkpoint is written of a state that is not finite."""
        self.pause()
        self.check_finite(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records the last steps, and keeps them: a run that is made longer records them with those to come."""
        self.check_finite(trainer, pl_module)
        self.pause()
        steps, seconds = self._steps, self._seconds
        self._record(pl_module)
        self._steps, self._seconds = steps, seconds

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Records the steps since the last record, up to one that was not finite; not if a checkpoint has them."""
        if isinstance(exception, Stopped):
            return
        if num_processes() > 1 and not isinstance(exception, NonFiniteLoss):
            return  # a checkpoint has what was combined; the others, who have their share of the rest, may be gone
        broken = self._first_unfinite()
        del self._steps[len(self._steps) if broken is None else broken :]
        if self._steps and self._steps[-1].number > self._recorded_at:
            self._record(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """All that was recorded, and the steps since."""
        kls = [step.kl for step in self._steps if step.kl is not None]
        return {
            "journal": self._journal.state_dict(),
            "recorded_at": self._recorded_at,
            "seconds": self._seconds,
            "number": [step.number for step in self._steps],
            "name": [step.name for step in self._steps],
            "value": torch.stack([step.value for step in self._steps]) if self._steps else None,
            "has_kl": [step.kl is not None for step in self._steps],
            "kl": torch.stack(kls) if kls else None,
            "num_rows": [step.num_rows for step in self._steps],
            "rates": {name: float(rate) for name, rate in self._rates.items()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state."""
        self._journal.load_state_dict(state_dict["journal"])
        self._recorded_at, self._seconds = state_dict["recorded_at"], state_dict["seconds"]
        self._rates = state_dict.get("rates", {})  # earlier versions had none
        numbers, kls = state_dict["number"], iter(() if state_dict["kl"] is None else state_dict["kl"])
        columns = (
            numbers,
            state_dict["name"],
            state_dict["value"] if numbers else [],
            [next(kls) if has_kl else None for has_kl in state_dict["has_kl"]],
            state_dict["num_rows"],
        )
        self._steps = [_Step(*values) for values in zip(*columns, strict=True)]
        self._num_combined = len(self._steps)  # they are combined before a checkpoint is written

    def pause(self) -> None:
        """Stops the clock until the next batch."""
        if self._since is not None:
            self._seconds += time.perf_counter() - self._since
            self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The clock stands still within this context, in the middle of a step."""
        runs = self._since is not None
        self.pause()
        try:
            yield
        finally:
            if runs:
                self._since = time.perf_counter()

    def _record(self, model: LightningModule) -> None:
        self._combine()
        if not self._steps:
            return
        self.pause()
        number = self._steps[-1].number
        metrics = self._means() | self._kl_weight(model, number)
        metrics |= {name: float(rate) for name, rate in self._rates.items()}
        metrics |= {
            "time/ms_per_step": 1e3 * self._seconds / (number - self._recorded_at),
            "time/samples_per_second": sum(step.num_rows for step in self._steps) / self._seconds,
            "memory/peak_mib": _peak_memory(model.device),
        }
        self._recorded_at = number
        self._steps, self._num_combined, self._seconds = [], 0, 0.0
        self._journal.write(metrics, self._recorded_at)

    def _combine(self) -> None:
        """Makes the values of the steps since the last call those of the whole batch, in one exchange."""
        own = self._steps[self._num_combined :]
        if num_processes() > 1 and own:
            values = torch.stack([step.value for step in own]).double()
            kls = torch.stack([values.new_zeros(()) if step.kl is None else step.kl.double() for step in own])
            rows = values.new_tensor([step.num_rows for step in own])
            sums = total(torch.stack([rows, rows * values, rows * kls]))
            all_rows = sums[0].tolist()
            self._steps[self._num_combined :] = [
                step._replace(value=value, kl=None if step.kl is None else kl, num_rows=round(all_rows[position]))
                for position, (step, value, kl) in enumerate(zip(own, *(sums[1:] / sums[0]), strict=True))
            ]
        self._num_combined = len(self._steps)

    def _means(self) -> dict[str, float]:
        """The objective by name, and its parts; a name may change in between, for example at the end of a warm-up."""
        metrics = {}
        for name in dict.fromkeys(step.name for step in self._steps):
            steps = [step for step in self._steps if step.name == name]
            value = torch.stack([step.value for step in steps]).mean()
            metrics[f"train/{name}"] = value.item()
            kls = [step.kl for step in steps if step.kl is not None]
            if name.endswith("elbo") and len(kls) == len(steps):
                metrics[f"train/{name.removesuffix('elbo')}reconstruction"] = (value + torch.stack(kls).mean()).item()
        if kls := [step.kl for step in self._steps if step.kl is not None]:
            metrics["train/kl"] = torch.stack(kls).mean().item()
        return metrics

    def _kl_weight(self, model: LightningModule, number: int) -> dict[str, float]:
        weight_at = getattr(getattr(model, "objective", None), "weight_at", None)
        if weight_at is None:
            return {}
        weight = float(weight_at(number - 1))
        return {KL_WEIGHT: weight} if weight != 1.0 or self._journal.latest(KL_WEIGHT) is not None else {}

    def _first_unfinite(self) -> int | None:
        if not self._steps:
            return None
        unfinite = (~torch.stack([step.value for step in self._steps]).isfinite()).nonzero()
        return int(unfinite[0]) if len(unfinite) else None

    def _check_objectives(self) -> None:
        self._combine()
        if (broken := self._first_unfinite()) is not None:
            step = self._steps[broken]
            kind = "loss" if step.name == "loss" else "objective"
            what = f"the training {kind} is {step.value.item()}"
            raise NonFiniteLoss(what, step=step.number, checkpoint=self._checkpoints.newest())

    def check_finite(self, trainer: Trainer, model: LightningModule) -> None:
        """Refuses a state that is not finite.

        Raises:
            NonFiniteLoss: naming the step.
        """
        self._check_objectives()
        finite = {name: parameter.isfinite().all() for name, parameter in model.named_parameters()}
        if finite and not torch.stack(list(finite.values())).all():
            name = next(name for name, is_finite in finite.items() if not is_finite)
            what = f"{name} has become NaN or infinite"
            raise NonFiniteLoss(what, step=trainer.global_step, checkpoint=self._checkpoints.newest())


def learning_rates(optimizers: Sequence[Optimizer]) -> dict[str, Any]:
    """Name on record and learning rate, of each part that has an optimizer, or parameter group, of its own."""
    groups = [
        (name, group)
        for optimizer in optimizers
        for names, part in getattr(optimizer, "parts", {"": optimizer}).items()
        for group in part.param_groups
        for name in names.split(", ")
    ]
    if len(groups) == 1:
        return {LEARNING_RATE: groups[0][1]["lr"]}
    return {f"{LEARNING_RATE}/{name or number}": group["lr"] for number, (name, group) in enumerate(groups)}


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
