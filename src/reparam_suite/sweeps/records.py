"""The runs of a sweep in the tracking store: found again by their tags."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

from lightning.pytorch import Callback, LightningModule, Trainer

from reparam_suite.running import Observer
from reparam_suite.sweeps.grid import Cell
from reparam_suite.sweeps.prospects import marks_of
from reparam_suite.tracking import RecordedRun, RunLogger, Store, TrackingSettings, reason
from reparam_suite.training import Journal, Stopped

SWEEP, CELL, DEFINITION, ERROR = "sweep", "sweep.cell", "sweep.definition", "sweep.error"
"""Tags of a run: the name of its sweep, the key of its cell, what the sweep was made of, the reason of a failure."""

_VALUE = "sweep.value."  # begins the tags of its values


def tags_of(sweep: str, cell: Cell, definition: str | None = None) -> dict[str, str]:
    """The tags by which the run of a cell is found again."""
    made_of = {} if definition is None else {DEFINITION: definition}
    return {SWEEP: sweep, CELL: cell.key, **value_tags(cell.expressions), **made_of}


def value_tags(expressions: Mapping[str, str]) -> dict[str, str]:
    """The tags of a combination's values."""
    return {f"{_VALUE}{name}": expression for name, expression in expressions.items()}


def expressions_of(run: RecordedRun) -> dict[str, str]:
    """The values of the cell that a run was made from, as expressions."""
    return {name.removeprefix(_VALUE): text for name, text in run.tags.items() if name.startswith(_VALUE)}


def runs_of(store: Store, sweep: str) -> list[RecordedRun]:
    """All runs of a sweep, the newest first."""
    return store.tagged_runs(SWEEP, sweep)[::-1]


def opened(tracking: TrackingSettings) -> Store | None:
    """The store, if it is there and has the experiment; nothing is created.

    Raises:
        TrackingError: if it does not answer.
    """
    if tracking.missing_file() is not None or tracking.experiment not in Store.experiments(tracking):
        return None
    return Store.open(tracking)


def newest(runs: Sequence[RecordedRun], status: str) -> dict[str, RecordedRun]:
    """The newest run of each cell that has a status, by the cell's key."""
    found: dict[str, RecordedRun] = {}
    for run in runs:
        if run.status == status and CELL in run.tags:
            found.setdefault(run.tags[CELL], run)
    return found


@final
class CellObserver(Observer):
    """Takes part in the run of a cell: marks what it is a run of, and leaves out figures and the exported model."""

    in_full = False

    def begun(self, logger: RunLogger, journal: Journal) -> Sequence[Callback]:  # noqa: ARG002
        """The callback that marks the run."""
        return [_Marks(logger)]

    def failed(self, logger: RunLogger, error: BaseException) -> Literal["KILLED", "FAILED"]:
        """Records the reason of a failure."""
        if isinstance(error, KeyboardInterrupt | Stopped):
            return "KILLED"
        logger.set_tags({ERROR: f"{type(error).__name__}: {reason(error)}"})
        return "FAILED"


@final
class _Marks(Callback):
    def __init__(self, logger: RunLogger) -> None:
        self._logger = logger

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._logger.set_tags(marks_of(pl_module, data))
