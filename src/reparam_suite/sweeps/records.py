"""The runs of a sweep in the tracking store: found again by their tags, and compared with what would be trained now."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from reparam_suite.running import Observer, Run, Surroundings
from reparam_suite.running.assembly import assemble
from reparam_suite.running.record import record_of
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.runtime.plain_data import OPAQUE
from reparam_suite.sweeps.grid import Cell
from reparam_suite.tracking import RecordedRun, RunLogger, Store
from reparam_suite.tracking.names import parameter_texts
from reparam_suite.training import Journal, StopSignals

SWEEP, CELL = "sweep", "sweep.cell"
"""Tags of a run: the name of its sweep, and the key of its cell."""

# Tags of what the recorded options do not say: the layers of a model of the user's own, the content of the data.
_ARCHITECTURE, _DATA = "sweep.architecture", "sweep.data"

# Options that do not make another model or other data, or are distinguished by the cell itself.
_NOT_COMPARED = re.compile(r"(seed|num_threads|compile|name|tags|tracking|record|checkpoint|data\..*seed)(\.|$)")


def tags_of(sweep: str, cell: Cell) -> dict[str, str]:
    """The tags by which the run of a cell is found again."""
    values = {f"sweep.value.{name}": expression for name, expression in cell.expressions.items()}
    return {SWEEP: sweep, CELL: cell.key, **values}


def runs_of(store: Store, sweep: str) -> list[RecordedRun]:
    """All runs of a sweep, the newest first."""
    quote = "'" if '"' in sweep else '"'
    return store.runs(f"tags.{SWEEP} = {quote}{sweep}{quote}")[::-1]


def newest(runs: Sequence[RecordedRun], status: str) -> dict[str, RecordedRun]:
    """The newest run of each cell that has a status, by the cell's key."""
    found: dict[str, RecordedRun] = {}
    for run in runs:
        if run.status == status and CELL in run.tags:
            found.setdefault(run.tags[CELL], run)
    return found


def differences(run: Run, recorded: Sequence[RecordedRun]) -> str | None:
    """The differences between a run as it would be made now and runs on record; None without any.

    Raises:
        SuiteError: if the run cannot be made.
    """
    with unchanged_globals():
        parts = assemble(run, Surroundings(Console(quiet=True), StopSignals(), relaunch=()))
        now = _compared(parameter_texts(record_of(parts).options)) | _marks(parts.model, parts.data)
    for other in recorded:
        marks = {name: value for name, value in other.tags.items() if name in (_ARCHITECTURE, _DATA)}
        before = _compared(other.options) | marks
        if changed := list(_changes(before, now)):
            return "; ".join(changed)
    return None


def replaced(runs: Sequence[RecordedRun]) -> str | None:
    """How the data of one of these runs differ from those of another that describes them alike; None without any."""
    found: dict[tuple[tuple[str, str], ...], RecordedRun] = {}
    for run in runs:
        described = {name: value for name, value in _compared(run.options).items() if name.startswith("data.")}
        if any(name.endswith(f".{OPAQUE}") for name in described):
            described = {name: value for name, value in run.tags.items() if name.startswith("sweep.value.")}
        other = found.setdefault(tuple(sorted(described.items())), run)
        if (before := other.tags.get(_DATA)) != (now := run.tags.get(_DATA)):
            return f"run {other.run_id} was trained on data of digest {before}, run {run.run_id} on {now}"
    return None


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield f"{name} was {before.get(name, 'not given')}, is {now.get(name, 'not given')}"


def _compared(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if not _NOT_COMPARED.match(name)}


def _marks(model: LightningModule, data: Any) -> dict[str, str]:
    layers = re.sub(r" at 0x[0-9a-f]+", "", repr(model))
    shapes = [(name, list(tensor.shape)) for name, tensor in model.state_dict().items()]
    digest = hashlib.sha256(f"{layers}{shapes}".encode()).hexdigest()[:16]
    return {_ARCHITECTURE: digest, _DATA: str(getattr(data, "digest", None) or "none")}


@final
class CellObserver(Observer):
    """Takes part in the run of a cell: marks what it is a run of, and leaves out figures and the exported model."""

    in_full = False

    def begun(self, logger: RunLogger, journal: Journal) -> Sequence[Callback]:  # noqa: ARG002
        """The callback that marks the run."""
        return [_Marks(logger)]


@final
class _Marks(Callback):
    def __init__(self, logger: RunLogger) -> None:
        self._logger = logger

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._logger.set_tags(_marks(pl_module, data))
