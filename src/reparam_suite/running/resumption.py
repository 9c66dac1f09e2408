"""Going on with a run that was stopped: which one it is, what it was told, and its last state that can be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch.utilities import rank_zero_only

from reparam_suite.commands.command_line import Command, option_values
from reparam_suite.tracking import Store, TrackingSettings, flattened
from reparam_suite.training import (
    BEST,
    HEADER,
    LAST,
    PREVIOUS,
    CheckpointError,
    DamagedCheckpoint,
    nothing_left,
    read_checkpoint,
)
from reparam_suite.commands.usage import UsageError, explained

CONFIG = "config.yaml"

# What may differ without a word: how far a run goes, how often its state is kept, and where all of it lies.
_NO_CHANGE = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_time", "checkpoint.", "tracking.")


@final
@dataclass(frozen=True)
class Resumption:
    """A run to go on with.

    Args:
        run_id: MLflow's.
        checkpoint: from where; None if it begins again at step 0.
        step: of the checkpoint.
        ended: whether all steps are done, and only the end of the run is missing.
        changes: the options that differ from those of the run, told.
        notes: what the user should know.
    """

    run_id: str
    checkpoint: Path | None
    step: int
    ended: bool
    changes: tuple[str, ...]
    notes: tuple[str, ...]


def checkpoint_directory(root: Path, run_id: str) -> Path:
    """Where the state of a run is kept."""
    return root / "checkpoints" / run_id


def resumed(args: list[str], target: str) -> tuple[Command, Resumption]:
    """The command that goes on with a run, and from where.

    Args:
        args: of the command line.
        target: what --resume names, a run's id or a file.

    Raises:
        UsageError: if there is no such run, or it cannot be gone on with as it is asked for.
        TrackingError: if its store does not answer.
    """
    settings = _tracking(args)
    given = _given_file(target)
    run_id = target if given is None else str(_read(given)[HEADER]["run_id"])
    directory = checkpoint_directory(settings.root, run_id)
    file, notes = directory / CONFIG, []
    store = _open(settings, run_id) if getattr(rank_zero_only, "rank", 0) == 0 else None  # of several processes, one
    if store is not None:
        notes += [f"earlier run {each.run_id}  {each.outcome}" for each in store.recover() if each.kind != "left alone"]
        store.check_stopped(run_id)
        if not file.exists():
            store.fetch_artifact(run_id, CONFIG, directory)
    recorded = yaml.safe_load(file.read_text(encoding="utf-8"))
    command = Command(["--config", str(file), *args])
    if command.config.seeds is not None:
        raise UsageError("--seeds: a resumed run has the seed that it had")
    changes = tuple(_changes(recorded, command.resolved_config()))
    if changes and not command.config.allow_changes:
        raise UsageError(
            f"run {run_id} had other options: {'; '.join(changes)}. Leave them out, or go on all the same with "
            "--allow_changes true"
        )
    found = _newest(directory, notes) if given is None else (given, _read(given))
    if found is None:
        notes.append(f"run {run_id} has no checkpoint: it begins again at step 0")
        return command, Resumption(run_id, None, 0, ended=False, changes=changes, notes=tuple(notes))
    path, content = found
    if content[HEADER]["run_id"] != run_id:
        raise UsageError(f"--resume: {path} is of run {content[HEADER]['run_id']}, not of {run_id}")
    _check_architecture(path, content, command)
    step, ended = content["global_step"], nothing_left(command.trainer, content)
    if ended and store is not None and store.run(run_id).info.status == "FINISHED":
        raise UsageError(
            f"run {run_id} is FINISHED, all of its {step} steps are done; more are made with "
            "--trainer.max_steps or --trainer.max_epochs"
        )
    return command, Resumption(run_id, path, step, ended=ended, changes=changes, notes=tuple(notes))


def _tracking(args: list[str]) -> TrackingSettings:
    """Where the run is recorded; the rest of the arguments cannot be understood without its configuration."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrackingSettings, "tracking")
    own: list[str] = []
    for file in option_values("--config", args):
        content = _mapping(Path(file)).get("tracking", {})
        own += [f"--tracking.{key}={value}" for key, value in content.items() if value is not None]
    names = [action.dest for action in parser._actions if action.dest.startswith("tracking.")]
    own += [f"--{name}={value}" for name in names for value in option_values(f"--{name}", args)]
    with explained(parser):
        return TrackingSettings(**vars(parser.parse_args(own).tracking))


def _mapping(file: Path) -> dict[str, Any]:
    # A file that cannot be read is the command's to complain about.
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _given_file(target: str) -> Path | None:
    path = Path(target)
    if path.is_file():
        return path
    if path.suffix == ".ckpt" or len(path.parts) > 1:
        raise UsageError(f"--resume: there is no file {target}; accepted are a run's id and a checkpoint")
    return None


def _open(settings: TrackingSettings, run_id: str) -> Store:
    uri = settings.resolved_uri()
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise UsageError(f"--resume: there is no run {run_id}, since there is no {uri}; --tracking.root says where")
    return Store.open(settings)


def _changes(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[str]:
    before, now = flattened(recorded), flattened(present)
    for key in dict.fromkeys([*before, *now]):
        if key.startswith(_NO_CHANGE) or (key in before and key in now and before[key] == now[key]):
            continue
        yield f"--{key} was {_told(before, key)}, is {_told(now, key)}"


def _told(values: Mapping[str, Any], key: str) -> str:
    return str(values[key]) if key in values else "not given"


def _newest(directory: Path, notes: list[str]) -> tuple[Path, dict[str, Any]] | None:
    for name in (LAST, PREVIOUS, BEST):
        path = directory / name
        if not path.exists():
            continue
        try:
            content = read_checkpoint(path)
        except DamagedCheckpoint as error:
            notes.append(f"{error}; the one before it is taken")
            continue
        except CheckpointError as error:
            raise UsageError(f"--resume: {error}") from error
        return path, content
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        raise UsageError(f"--resume: {error}") from error


def _check_architecture(path: Path, content: Mapping[str, Any], command: Command) -> None:
    model, saved = command.model, content["state_dict"]
    own = model.state_dict()
    there, here = content["hyper_parameters"]["_class_path"], model.hparams["_class_path"]
    if there != here:
        raise UsageError(f"--resume: {path} is of a {_last(there)}, this is a {_last(here)}")
    for name in dict.fromkeys([*saved, *own]):
        shapes = [str(list(state[name].shape)) if name in state else "absent" for state in (saved, own)]
        if shapes[0] != shapes[1]:
            raise UsageError(
                f"--resume: {path} is of another architecture: {name} is {shapes[0]} there, {shapes[1]} here"
            )


def _last(class_path: str) -> str:
    return class_path.rpartition(".")[2]
