"""A model from the record of a run, in a fresh process too."""

import os
from collections.abc import Callable, Collection
from typing import Any

from lightning.pytorch import LightningModule

from reparam_suite.running.resuming import from_record
from reparam_suite.running.resumption import check_weights, checkpoint_directory, given_checkpoint, header
from reparam_suite.running.weights import weights_of
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import BEST, CheckpointError


def load(
    run_id: str,
    *,
    model: LightningModule | Callable[[], LightningModule] | None = None,
    allow: Collection[str] = (),
    tracking: TrackingSettings = TrackingSettings(),
) -> Any:
    """The model of a run with its best weights, or the last where it had no monitor; in eval mode, on the CPU.

    Args:
        run_id: of the run.
        model: a module, or a callable that makes one, to take the weights: where it is not on record.
        allow: names of modules whose classes may be made from the record; the suite's own are always allowed.
        tracking: where the run is recorded; by default in mlruns of the working directory.

    Raises:
        ValueError: if there is no such run, its model cannot be made from the record, or `model` is another one.
        RuntimeError: if the store does not answer.
    """
    content, source = _checkpoint(run_id, tracking)
    with unchanged_globals():
        made = _made(model, content, run_id, allow)
    check_weights(made, content, source)
    made.load_state_dict(content["state_dict"])
    return made.eval()


def _made(model: Any, content: dict[str, Any], run_id: str, allow: Collection[str]) -> Any:
    if isinstance(model, LightningModule):
        return model
    make = from_record(header(content)["model"], "model", run_id, allow) if model is None else model
    return make()


def _checkpoint(run_id: str, tracking: TrackingSettings) -> tuple[dict[str, Any], str]:
    best = checkpoint_directory(tracking.root, run_id) / BEST
    if os.path.isfile(best):
        return given_checkpoint(best), str(best)
    if tracking.missing_file() is not None:
        raise UsageError(f"load: expected the id of a run under {tracking.root.absolute()}, got {run_id}")
    try:
        return weights_of(Store.open(tracking), run_id)
    except CheckpointError as error:
        raise UsageError(f"load: {error}") from error
