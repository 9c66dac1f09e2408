"""The optimizer of a run that resumes with other options: what it keeps of its state, and what is new."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard, final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from reparam_suite.models import EstimatorModule
from reparam_suite.models.optimizers import PartedOptimizer
from reparam_suite.running.assembly import Assembly
from reparam_suite.running.resumption import Resumption
from reparam_suite.runtime.errors import UsageError

# Options whose value may change from zero, or to it, without another state.
_ANY_VALUE = ("lr", "weight_decay", "maximize", "fused", "foreach", "differentiable", "capturable")


@final
class OptimizerStates(Callback):
    """Hands Lightning other states than those of the checkpoint that it loads.

    Args:
        states: one for each optimizer; None leaves those of the checkpoint. Schedules of the learning rate, which may
            be new, are at the checkpoint's step.
    """

    def __init__(self, states: list[Any] | None) -> None:
        self._states = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Replaces them."""
        if self._states is not None:
            checkpoint["optimizer_states"] = self._states
        if _makes_its_optimizer(pl_module):
            scheduled = pl_module.scheduled_rates(pl_module.made_optimizer()) is not None
            checkpoint["lr_schedulers"] = [{"last_epoch": checkpoint["global_step"]}] if scheduled else []


def adapted_states(
    parts: Assembly, resumption: Resumption, before: Any, changes: Mapping[str, str], notes: list[str]
) -> list[Any] | None:
    """The states with which a run resumes; None for those of its checkpoint.

    The options are the present ones. What an optimizer has gathered of a parameter (momentum and so on) is kept where
    it is of the same class, and its options have the same need of it; a note says where it begins anew.

    Args:
        parts: of the run as it is asked for.
        resumption: of the run.
        before: the model as it was; None where it cannot be made from the record, or has not changed.
        changes: options by dotted key.
        notes: to add to.

    Raises:
        UsageError: if the states of the checkpoint are not those of an optimizer that the model has, or had.
    """
    model = parts.model
    if not _makes_its_optimizer(model):
        return None
    if len(states := resumption.content.get("optimizer_states") or []) != 1:
        raise UsageError(f"resume: {resumption.checkpoint}: expected the state of one optimizer, got {len(states)}")
    (saved,) = states
    present = model.made_optimizer()
    if before is None or not any(key.startswith("model.") for key in changes):
        _load(present, saved, resumption)
        return None
    before.materialize(parts.data.sample_batch("train"))
    past = before.made_optimizer()
    _load(past, saved, resumption)
    known = dict(before.named_parameters())
    owners = {parameter: own for own, parameter in _by_parameter(past)}
    names = {parameter: name for name, parameter in model.named_parameters()}
    anew: dict[str, None] = {}
    for optimizer, parameter in _by_parameter(present):
        former = known.get(names[parameter])
        owner = None if former is None else owners.get(former)
        if former is not None and owner is not None and _takes_over(owner, optimizer):
            if former in owner.state:
                optimizer.state[parameter] = owner.state[former]
        else:
            anew[names[parameter].partition(".")[0]] = None
    if anew:
        notes.append(f"the optimizer of {', '.join(anew)} begins without what it had gathered, as another one would")
    return [present.state_dict()]


_OURS = EstimatorModule.configure_optimizers


def _makes_its_optimizer(model: LightningModule) -> TypeGuard[EstimatorModule]:
    # By its settings, and in no way of its own.
    return isinstance(model, EstimatorModule) and type(model).configure_optimizers is _OURS


def _load(optimizer: Optimizer, saved: Any, resumption: Resumption) -> None:
    try:
        optimizer.load_state_dict(saved)
        _check_moments(optimizer)
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"resume: the optimizer in {resumption.checkpoint} is another one than these options make: "
            f"{' '.join(str(error).split())}"
        ) from error


def _check_moments(optimizer: Optimizer) -> None:
    # Fused steps write moments without a look at their shape. Adafactor has rows and columns, and no fused step.
    for part, parameter in _by_parameter(optimizer):
        for name, moment in part.state[parameter].items() if parameter in part.state else ():
            is_one = isinstance(moment, Tensor) and moment.dim() > 0 and type(part).__name__ != "Adafactor"
            if is_one and moment.shape != parameter.shape:
                raise ValueError(f"{name}: expected shape {list(parameter.shape)}, got {list(moment.shape)}")


def _by_parameter(optimizer: Optimizer) -> Iterator[tuple[Optimizer, nn.Parameter]]:
    parts = optimizer.parts.values() if isinstance(optimizer, PartedOptimizer) else [optimizer]
    for part in parts:
        for group in part.param_groups:
            for parameter in group["params"]:
                yield part, parameter


def _takes_over(past: Optimizer, present: Optimizer) -> bool:
    if type(past) is not type(present) or past.defaults.keys() != present.defaults.keys():
        return False
    pairs = [(past.defaults[name], value) for name, value in present.defaults.items() if name not in _ANY_VALUE]
    return all(bool(was) == bool(now) and isinstance(now, bool) == isinstance(was, bool) for was, now in pairs)
