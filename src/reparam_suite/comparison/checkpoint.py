"""A checkpoint as a model and its data, wherever it lies: a file, or what a run kept as its best."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

from jsonargparse import ArgumentParser

from reparam_suite.models import VAE
from reparam_suite.running.resumption import checkpoint_directory
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import BEST, HEADER, CheckpointError, read_checkpoint
from reparam_suite.commands.usage import UsageError, explained

_OPTION = "--checkpoint"


@final
@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds, in plain types.

    Attributes:
        source: as it was named: a file, a run's id or name.
        name: of the run, or of the file.
        content: of the file.
    """

    source: str
    name: str
    content: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The run that wrote it."""
        return str(self.content[HEADER]["run_id"])

    @property
    def data(self) -> dict[str, Any] | None:
        """Class and options of the data that it was trained on, if it says so."""
        recorded: dict[str, Any] | None = self.content[HEADER].get("data")
        return recorded

    def model(self) -> VAE:
        """The model with the weights, and the weight of the KL, of that step; on the CPU.

        Raises:
            UsageError: if no model of ours has such weights.
        """
        arguments = dict(self.content["hyper_parameters"])
        class_path = arguments.pop("_class_path")
        arguments.pop("_instantiator", None)
        parser = ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(VAE, "model")
        try:
            with explained(parser, model=VAE):
                parsed = parser.parse_object({"model": {"class_path": class_path, "init_args": arguments}})
                model: VAE = parser.instantiate(parsed).model
        except UsageError as error:
            raise UsageError(f"{_OPTION} {self.source}: its model cannot be made: {error}") from error
        try:
            model.load_state_dict(self.content["state_dict"])
        except RuntimeError as error:
            raise UsageError(
                f"{_OPTION} {self.source}: its weights are of another architecture than the {type(model).__name__} "
                f"that it describes: {' '.join(str(error).split())[:400]}"
            ) from error
        # Outside of a trainer the model stands at step 0, where a warm-up begins.
        if model.kl_warmup_steps:
            model.kl_weight *= min(1.0, self.content["global_step"] / model.kl_warmup_steps)
            model.kl_warmup_steps = 0
        return model


def find(source: str, tracking: TrackingSettings) -> Checkpoint:
    """The checkpoint that `source` names: a file, or the best one of a run, which is named by its id or its name.

    Raises:
        UsageError: if there is none, or if it is no checkpoint of ours.
        TrackingError: if the store does not answer.
    """
    path = Path(source)
    if path.exists():
        return Checkpoint(source, path.name, _content(path, source))
    if path.suffix == ".ckpt" or len(path.parts) > 1:
        raise UsageError(f"{_OPTION}: there is no file {source}")
    if (missing := tracking.missing_file()) is not None:
        raise UsageError(f"{_OPTION}: there is no file and no run {source}: the store {missing} does not exist")
    store = Store.open(tracking)
    run_id, name = _run(store, source)
    kept = checkpoint_directory(store.root, run_id) / BEST
    if kept.exists():
        return Checkpoint(source, name, _content(kept, source))
    with TemporaryDirectory() as directory:
        fetched = store.fetch_artifact(run_id, f"checkpoints/{BEST}", Path(directory))
        return Checkpoint(source, name, _content(fetched, source))


def _run(store: Store, source: str) -> tuple[str, str]:
    if (run := store.find_run(source)) is not None:
        return run.info.run_id, run.info.run_name or run.info.run_id
    named = store.runs_named(source)
    if len(named) > 1:
        ids = ", ".join(each.info.run_id for each in named[:5])
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise UsageError(f"{_OPTION}: {len(named)} runs are called {source}, name one by its id: {ids}{more}")
    if not named:
        raise UsageError(
            f"{_OPTION}: there is no file {source}, and no run of that id in {store.uri} or of that name in its "
            f"experiment {store.experiment}"
        )
    return named[0].info.run_id, source


def _content(file: Path, source: str) -> Mapping[str, Any]:
    try:
        content = read_checkpoint(file)
    except (CheckpointError, OSError) as error:
        raise UsageError(f"{_OPTION} {source}: {error}") from error
    if "_class_path" not in (content.get("hyper_parameters") or {}):
        raise UsageError(f"{_OPTION} {source}: {file} does not say of which model it is")
    return content
