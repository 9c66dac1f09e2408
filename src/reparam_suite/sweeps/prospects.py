"""Runs of a sweep before they are trained: whether they can be made, how long they train, what is on record of them."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, final

from lightning.pytorch import LightningModule
from rich.console import Console

from reparam_suite.running import Run, Surroundings
from reparam_suite.running.assembly import Assembly, assemble
from reparam_suite.running.record import record_of
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.tracking import RecordedRun, TrackingError
from reparam_suite.tracking.names import parameter_texts
from reparam_suite.training import StopSignals

# Tags of what the recorded options do not say: the layers of a model of the user's own, the content of the data.
_ARCHITECTURE, DATA = "sweep.architecture", "sweep.data"

# Options that do not make another model or other data, or are distinguished by the cell itself.
_NOT_COMPARED = re.compile(r"(seed|num_threads|compile|name|tags|tracking|record|checkpoint|data\..*seed)(\.|$)")


@final
@dataclass(frozen=True)
class Prospect:
    """A run as it would be made now.

    Attributes:
        compared: its options, and marks of its model and data, as a record has them.
        num_steps: of the optimizer; None where that cannot be said before.
    """

    compared: Mapping[str, str]
    num_steps: int | None

    @classmethod
    def of(cls, run: Run) -> "Prospect":
        """Makes the parts of the run, and forgets them.

        Raises:
            SuiteError: if the run cannot be made.
        """
        with unchanged_globals():
            parts = assemble(run, Surroundings(Console(quiet=True), StopSignals(), relaunch=()))
            parameters = compared(parameter_texts(record_of(parts).options))
            return cls(parameters | marks_of(parts.model, parts.data), _num_steps(parts))

    def differences(self, recorded: Sequence[RecordedRun]) -> str | None:
        """The differences to the first of the runs on record that differs; None without any."""
        for run in recorded:
            marks = {name: value for name, value in run.tags.items() if name in (_ARCHITECTURE, DATA)}
            if changed := list(changes(compared(run.options) | marks, self.compared)):
                return "; ".join(changed)
        return None


def refusal(error: BaseException) -> str:
    """The reason why no run can be made, in a line."""
    if isinstance(error, TrackingError):
        raise error
    text = " ".join(str(error).split())
    return text if isinstance(error, SuiteError) else f"{type(error).__name__}: {text}"


def marks_of(model: LightningModule, data: Any) -> dict[str, str]:
    """Tags that tell models and data apart whose options are the same."""
    layers = re.sub(r" at 0x[0-9a-f]+", "", repr(model))
    shapes = [(name, list(tensor.shape)) for name, tensor in model.state_dict().items()]
    digest = hashlib.sha256(f"{layers}{shapes}".encode()).hexdigest()[:16]
    return {_ARCHITECTURE: digest, DATA: str(getattr(data, "digest", None) or "none")}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """The values that differ, each with both sides."""
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield f"{name} was {before.get(name, 'not given')}, is {now.get(name, 'not given')}"


def compared(parameters: Mapping[str, str]) -> dict[str, str]:
    """The options on record that make another model, other data or another training."""
    return {name: value for name, value in parameters.items() if not _NOT_COMPARED.match(name)}


def _num_steps(parts: Assembly) -> int | None:
    trainer, limits = parts.trainer, []
    if trainer.max_steps > 0:
        limits.append(trainer.max_steps)
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        try:
            num_batches = len(parts.data.train_dataloader())
        except TypeError:  # of a loader that knows no end
            return None
        limit = trainer.limit_train_batches
        num_batches = min(num_batches, limit) if isinstance(limit, int) else int(num_batches * limit)
        limits.append(trainer.max_epochs * ceil(num_batches / trainer.accumulate_grad_batches))
    return min(limits) if limits else None
