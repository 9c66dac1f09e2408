"""The model and the data of a checkpoint: of a file, or of the best weights of a run. The file runs no code."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from lightning.pytorch import LightningDataModule, LightningModule

from reparam_suite.running.resumption import check_weights, header
from reparam_suite.running.weights import weights_of
from reparam_suite.runtime.construction import construct
from reparam_suite.runtime.errors import NotAllowedError, UsageError
from reparam_suite.runtime.plain_data import opaque_parts
from reparam_suite.tracking import Store, TrackingError, TrackingSettings
from reparam_suite.training import CheckpointError, read_checkpoint

_OPTION = "--checkpoint"


@final
@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file, in plain types.

    Attributes:
        source: as it was named: a file, a run's id or name.
        name: of the run, or of the file.
        content: of the file.
        allow: names of modules whose classes it may name, beside the suite's.
    """

    source: str
    name: str
    content: Mapping[str, Any]
    allow: Collection[str]

    @property
    def run_id(self) -> str:
        """The run that wrote it."""
        return str(header(self.content)["run_id"])

    @property
    def recorded_data(self) -> Any:
        """Class and arguments of the data that it was trained on; None if it does not say."""
        return header(self.content).get("data")

    @property
    def digest(self) -> str | None:
        """Of the data that it was trained on; None if it does not say, or they have none."""
        return header(self.content).get("digest")

    @property
    def without_data(self) -> str:
        """The refusal of a checkpoint that does not say what it was trained on."""
        return f"{_OPTION} {self.source} does not say on which data it was trained: name them, as in --data Digits"

    def model(self) -> Any:
        """The model with the weights, and the number of steps, of the checkpoint; on the CPU.

        Raises:
            UsageError: if it cannot be made from the record, or has other weights.
        """
        model = self._made("model", header(self.content).get("model"), LightningModule)
        check_weights(model, self.content, f"{_OPTION} {self.source}")
        model.load_state_dict(self.content["state_dict"])
        return model

    def data(self) -> Any:
        """The data that it was trained on.

        Raises:
            UsageError: if they cannot be made from the record.
        """
        if self.recorded_data is None:
            raise UsageError(self.without_data)
        return self._made("data", self.recorded_data, LightningDataModule)

    def _made(self, name: str, recorded: Any, kind: type) -> Any:
        what = f"{_OPTION} {self.source}: {name}"
        for part, described in opaque_parts(recorded, name):
            raise UsageError(
                f"{_OPTION} {self.source}: {part} ({described}) is not on record, so that it cannot be made here; "
                "compare_gradients of Python takes the model itself"
            )
        try:
            made = construct(recorded, allow=self.allow)
        except NotAllowedError as error:
            raise UsageError(f"{what}: {error}, with --allow_modules") from None
        except (ValueError, TypeError) as error:
            raise UsageError(f"{what} cannot be made: {' '.join(str(error).split())}") from error
        if not isinstance(made, kind):
            raise UsageError(f"{what}: expected a {kind.__name__}, got {type(made).__name__}")
        return made


def find(source: str, tracking: TrackingSettings, allow: Collection[str] = ()) -> Checkpoint:
    """The checkpoint that `source` names: a file, or of a run, by its id or its name, the best, else the last.

    Args:
        source: as the user names it.
        tracking: the store of the runs.
        allow: names of modules whose classes it may name, beside the suite's.

    Raises:
        UsageError: if there is none, or if it is no checkpoint of ours.
        TrackingError: if the store does not answer.
    """
    path = Path(source)
    if os.path.isfile(path):  # of any name, one that is too long say
        return Checkpoint(source, path.name, _content(path, source), allow)
    if path.suffix == ".ckpt" or len(path.parts) > 1:
        raise UsageError(f"{_OPTION}: there is no file {source}")
    if (missing := tracking.missing_file()) is not None:
        raise UsageError(f"{_OPTION}: there is no file and no run {source}: the store {missing} does not exist")
    store = Store.open(tracking)
    run_id, name = _run(store, source)
    return Checkpoint(source, name, _content_of_run(store, run_id, source), allow)


def _run(store: Store, source: str) -> tuple[str, str]:
    if (run := store.find_run(source)) is not None:
        return run.info.run_id, run.info.run_name or run.info.run_id
    named = store.runs_named(source)
    if len(named) > 1:
        ids = ", ".join(run.info.run_id for run in named[:5])
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise UsageError(f"{_OPTION}: {len(named)} runs are called {source}, name one by its id: {ids}{more}")
    if not named:
        raise UsageError(
            f"{_OPTION}: there is no file {source}, and no run of that id in {store.uri} or of that name in its "
            f"experiment {store.experiment}"
        )
    return named[0].info.run_id, source


def _content_of_run(store: Store, run_id: str, source: str) -> Mapping[str, Any]:
    try:
        content, file = weights_of(store, run_id)
    except (CheckpointError, TrackingError, OSError) as error:
        raise UsageError(f"{_OPTION} {source}: {error}") from error
    return _of_model(content, file, source)


def _content(file: Path, source: str) -> Mapping[str, Any]:
    try:
        content = read_checkpoint(file)
    except (CheckpointError, OSError) as error:
        raise UsageError(f"{_OPTION} {source}: {error}") from error
    return _of_model(content, file, source)


def _of_model(content: Mapping[str, Any], file: object, source: str) -> Mapping[str, Any]:
    if not isinstance(header(content).get("model"), dict) or not isinstance(content.get("state_dict"), dict):
        raise UsageError(f"{_OPTION} {source}: {file} does not name its model")
    return content
