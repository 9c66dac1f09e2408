"""Operations, waits for the device and bytes of a step, a validation and a measurement: costs without a clock."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from benchmarks.cases import CASES, Case
from lightning.pytorch import Callback
from rich.console import Console
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.diagnostics import statistics_over_processes
from reparam_suite.running import Observer, Surroundings
from reparam_suite.tracking import RunLogger, TrackingSettings
from reparam_suite.training import Journal, RecordSettings, StopSignals

_GAUSSIAN = CASES["Gaussian, 64-200-200-10 (digits)"]
_DISCRETE = CASES["discrete, 784-200-200-200, LeaveOneOut K = 4"]
MODELS: dict[str, Case] = {"gaussian": _GAUSSIAN, "discrete": replace(_DISCRETE, sizes=(64, 200, 200, 20))}
_WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal")  # the host needs a value of the device
_COUNTED_STEP = 5  # when everything is warm, and nothing else is due


@dataclass
class Cost:
    """Dispatched operations, waits for the device, and bytes of the tensors that were made."""

    operations: int = 0
    waits: int = 0
    allocated: int = 0


class Counting(TorchDispatchMode):
    """Counts what is dispatched inside."""

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.cost.operations += 1
        self.cost.waits += func._schema.name.removeprefix("aten::") in _WAITS
        known = {_storage(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        new = {_storage(tensor): tensor for tensor in tree_leaves(made) if isinstance(tensor, Tensor)}
        self.cost.allocated += sum(
            tensor.untyped_storage().nbytes() for storage, tensor in new.items() if storage not in known
        )
        return made


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class _Counted(Observer, Callback):
    """Counts from the start of a training step to that of the next, and during a validation, all callbacks included."""

    tests = in_full = False

    def __init__(self) -> None:
        self.counting: dict[str, Counting] = {}

    def begun(self, logger: RunLogger, journal: Journal) -> Sequence[Callback]:
        return [self]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == _COUNTED_STEP:
            self._begin("training step")
        elif batch_idx == _COUNTED_STEP + 1:
            self._end("training step")

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.global_step:
            self._begin("validation")

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.global_step:
            self._end("validation")

    def _begin(self, what: str) -> None:
        self.counting[what] = Counting()
        self.counting[what].__enter__()

    def _end(self, what: str) -> None:
        self.counting[what].__exit__(None, None, None)


@contextmanager
def counted() -> Iterator[Cost]:
    """The cost of what is done inside."""
    with Counting() as counting:
        yield counting.cost


def costs(case: Case, root: Path) -> dict[str, dict[str, int]]:
    """Of a run of the suite and of the bare loop of the same model."""
    counting = _Counted()
    model = case.make()
    run = Run(
        model,
        Digits(batch_size=100),
        max_epochs=1,
        trainer={"accelerator": "cpu"},
        record=RecordSettings(every=1_000, gradients_every=1_000, test_data=0),
        tracking=TrackingSettings(root=root),
    )
    run.fit_within(Surroundings(Console(quiet=True), StopSignals(), relaunch=None, observer=counting))
    found = {what: counted.cost for what, counted in counting.counting.items()}
    x = next(iter(Digits(batch_size=100).train_dataloader()))
    with counted() as found["gradient measurement"]:
        statistics_over_processes(model, x)
    found["bare training step"] = _bare(case, x)
    return {what: asdict(cost) for what, cost in found.items()}


def _bare(case: Case, x: Tensor) -> Cost:
    encoder, decoder = case.networks()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        case.loss_of(encoder, decoder, x).backward()
        optimizer.step()

    step()
    return _cost_of(step)


def _cost_of(step: Callable[[], None]) -> Cost:
    with counted() as cost:
        step()
    return cost
