"""The weights of a run that are tested, kept and loaded: the best by its monitor, else the last."""

import logging
import os
from collections.abc import Container
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reparam_suite.running.assembly import Assembly
from reparam_suite.running.resumption import checkpoint_directory, header
from reparam_suite.tracking import Store, TrackingError
from reparam_suite.tracking.views import KIND
from reparam_suite.training import BEST, LAST, CheckpointError, Checkpoints, best_of, read_checkpoint
from reparam_suite.versions import MONITOR

_log = logging.getLogger(__name__)


def test_best(parts: Assembly, checkpoints: Checkpoints, *, tests: bool) -> None:
    """Puts the best weights into the model, and tests them if `tests`; last.ckpt holds the last ones.

    Raises:
        CheckpointError: if the best weights cannot be read again.
    """
    # The other processes, which may be on a machine without the file, are given them by Lightning.
    assert checkpoints.directory is not None
    best = checkpoints.directory / BEST
    if parts.trainer.is_global_zero and checkpoints.has_best:
        if not best.exists():
            raise CheckpointError(f"{best} is gone: {checkpoints.told_best} were its weights, and no others are tested")
        parts.model.load_state_dict(read_checkpoint(best)["state_dict"])
    if tests and parts.tests:
        parts.trainer.test(parts.model, datamodule=parts.data, verbose=False)


def restore_best(checkpoints: Checkpoints, store: Store, run_id: str) -> bool:
    """Whether the best weights are there; if their file is gone, the copy among the run's artifacts is taken."""
    assert checkpoints.directory is not None
    file = checkpoints.directory / BEST
    if not checkpoints.has_best or file.exists():
        return True
    with TemporaryDirectory(dir=checkpoints.directory.parent) as folder:
        # On record may be the value of the validation after the last step, which a run that goes further leaves out.
        copy = _best_on_record(store, run_id, {checkpoints.best, recorded_best(store, run_id)}, Path(folder))
        if copy is None:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        os.replace(copy, file)
    _log.warning("run %s: %s is gone; the copy among its artifacts is taken", run_id, file)
    return True


def recorded_best(store: Store, run_id: str) -> float | None:
    """The value of the monitor with a run's best weights, as it is on record; None if it has none."""
    data = store.run(run_id).data
    if KIND not in data.tags:  # version 0.1.0 recorded every value, and not which is the best
        return max((value for step, value in store.history(run_id, MONITOR) if step > 0), default=None)
    monitor = data.tags.get("monitor")
    value: float | None = None if monitor is None else data.metrics.get(f"{monitor.removeprefix('-')}_best")
    return value


def weights_of(store: Store, run_id: str) -> tuple[dict[str, Any], str]:
    """The checkpoint of a run's best weights, or of the last where it has no best; and where it was found.

    The record's copy is taken where a file is gone.

    Raises:
        CheckpointError: if there is none, it cannot be read, or the best weights are gone.
        TrackingError: if there is no such run, or the store does not answer.
    """
    directory = checkpoint_directory(store.root, run_id)
    if (directory / BEST).exists():
        return read_checkpoint(directory / BEST), str(directory / BEST)
    best = recorded_best(store, run_id)
    with TemporaryDirectory() as folder:
        if best is not None:
            if (copy := _best_on_record(store, run_id, {best}, Path(folder))) is not None:
                return read_checkpoint(copy), f"{BEST} of run {run_id}"
            last = f"; {directory / LAST} holds the last ones" if (directory / LAST).exists() else ""
            raise CheckpointError(f"run {run_id}: {BEST} with its best weights is gone, here and on record{last}")
        if (directory / LAST).exists():
            return read_checkpoint(directory / LAST), str(directory / LAST)
        try:
            return _fetched(store, run_id, LAST, Path(folder)), f"{LAST} of run {run_id}"
        except TrackingError as error:
            raise CheckpointError(f"run {run_id} has no checkpoint: {error}") from error


def _best_on_record(store: Store, run_id: str, values: Container[float | None], folder: Path) -> Path | None:
    # An artifact is of the end of a run, which may have found better weights when it was resumed.
    try:
        content = _fetched(store, run_id, BEST, folder)
    except (TrackingError, CheckpointError):
        return None
    return folder / BEST if header(content)["run_id"] == run_id and best_of(content) in values else None


def _fetched(store: Store, run_id: str, name: str, folder: Path) -> dict[str, Any]:
    file = store.fetch_artifact(run_id, f"checkpoints/{name}", folder)
    os.replace(file, folder / name)  # MLflow keeps the directories of an artifact
    return read_checkpoint(folder / name)
