"""Arguments of a run that is on record, with the changes that were asked for."""

import copy
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from reparam_suite.running.resumption import (
    CONFIG,
    Resumption,
    checkpoint_directory,
    given_checkpoint,
    header,
    newest_checkpoint,
)
from reparam_suite.runtime import strict_yaml
from reparam_suite.runtime.construction import check_all_allowed, construct
from reparam_suite.runtime.errors import NotAllowedError, NotOnRecordError, UsageError
from reparam_suite.runtime.launchers import is_further_process
from reparam_suite.runtime.plain_data import Described, opaque_parts
from reparam_suite.tracking import Store, TrackingError, TrackingSettings
from reparam_suite.training import BEST, LAST, PREVIOUS, CheckpointSettings, RecordSettings
from reparam_suite.versions import is_earlier_configuration, present_configuration

_PARTS = ("trainer", "model", "data")
_SETTINGS = {"record": RecordSettings, "checkpoint": CheckpointSettings}


def resumed_arguments(run_id: str, *, allow: Collection[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Run` for a run on record, `changes` in the place of what is recorded.

    Raises:
        UsageError: if there is no such run, or its model or data are neither on record nor among the changes.
        TrackingError: if its store does not answer, or the run cannot be resumed.
    """
    tracking = changes.get("tracking", TrackingSettings())
    resumption = found_run(run_id, tracking, allow_changes=True)
    config: dict[str, Any] = copy.deepcopy(dict(resumption.recorded))
    limits = {name: config["trainer"].pop(name, None) for name in ("max_steps", "max_epochs")}
    try:
        arguments: dict[str, Any] = {
            **{name: config[name] for name in ("seed", "compile", "monitor", "name", "tags")},
            **{name: None if limit == -1 else limit for name, limit in limits.items()},
            **{name: cls(**config[name]) for name, cls in _SETTINGS.items()},
            "tracking": tracking,
            "resumption": resumption,
        }
    except (KeyError, TypeError, ValueError) as error:
        file = checkpoint_directory(tracking.root, run_id) / CONFIG
        raise UsageError(f"resume: {file}: expected options as a run has written them, got {error!r}") from error
    for name in ("model", "data"):
        if name not in changes:
            arguments[name] = from_record(config[name], name, run_id, allow)
    if "loggers" not in changes:
        arguments["loggers"] = from_record(config.get("loggers", []), "loggers", run_id, allow)()
    if "trainer" not in changes:
        options = {name: value for name, value in config["trainer"].items() if value is not None}
        arguments["trainer"] = from_record(options, "trainer", run_id, allow)()
    if unknown := sorted(set(changes) - {*arguments, "model", "data", "loggers", "trainer", "progress"}):
        raise TypeError(f"resume: expected arguments of Run, got {', '.join(unknown)}")
    if "max_steps" in changes or "max_epochs" in changes:
        arguments |= {"max_steps": None, "max_epochs": None}
    return {**arguments, **changes}


def from_record(data: Any, name: str, run_id: str, allow: Collection[str]) -> Described:
    """A callable that makes a part of a run from the record.

    Raises:
        UsageError: if it is not there whole, or names a class of a module that is not allowed; with the way out.
    """
    if missing := list(opaque_parts(data, name)):
        told = ", ".join(f"{part} ({what})" for part, what in missing)
        raise NotOnRecordError(f"run {run_id}: {told} is not on record: give {name}=")
    try:
        check_all_allowed(data, allow=allow)
    except NotAllowedError as error:
        raise NotAllowedError(f"run {run_id}: {name}: {error}: give {name}=, or allow=[...]") from None
    return Described(lambda: construct(data, allow=allow), data)


def found_run(target: str, tracking: TrackingSettings, *, allow_changes: bool) -> Resumption:
    """The run that an id or a checkpoint file names, with its configuration and its newest checkpoint.

    Runs whose process is gone are ended first.

    Raises:
        UsageError: if there is no such run or file, or its checkpoints cannot be used.
        TrackingError: if its store does not answer, or it is running.
    """
    given = _given_file(target)
    content = None if given is None else given_checkpoint(given)
    run_id = target if content is None else str(header(content)["run_id"])
    directory = checkpoint_directory(tracking.root, run_id)
    file, notes, finished = directory / CONFIG, [], False
    if not is_further_process(_trainer_of(file)):  # of several processes the first one alone
        store = _opened(tracking, run_id)
        notes += [f"earlier run {run.run_id}  {run.outcome}" for run in store.recover() if run.kind != "left alone"]
        store.check_stopped(run_id)
        if not os.path.exists(file):
            store.fetch_artifact(run_id, CONFIG, directory)
        if not any(os.path.exists(directory / name) for name in (LAST, PREVIOUS, BEST)):
            notes += _fetched(store, run_id, directory)
        finished = store.run(run_id).info.status == "FINISHED"
    recorded = _configuration(file)
    earlier = is_earlier_configuration(recorded)
    found = newest_checkpoint(directory, notes) if given is None or content is None else (given, content)
    if earlier:
        recorded = present_configuration(recorded, None if found is None else header(found[1])["model"])
        notes.append(f"run {run_id} was begun by version 0.1.0, which does not read what this version writes from here")
    if found is None:
        notes.append(f"run {run_id} has no checkpoint: it begins again at step 0")
    elif (other := header(found[1])["run_id"]) != run_id:
        raise UsageError(f"resume: {found[0]} is of run {other}, not of {run_id}")
    path, state = found or (None, {})
    return Resumption(run_id, recorded, path, state, finished, allow_changes, tuple(notes), earlier)


def _fetched(store: Store, run_id: str, directory: Path) -> Iterator[str]:
    # Where all checkpoints are gone, the one that the end of a run has put on record.
    with suppress(TrackingError), TemporaryDirectory(dir=directory) as folder:
        copy = store.fetch_artifact(run_id, f"checkpoints/{LAST}", Path(folder))
        os.replace(copy, directory / LAST)
        yield f"the checkpoints in {directory} are gone; the copy of {LAST} among the run's artifacts is taken"


def _configuration(file: Path) -> dict[str, Any]:
    try:
        content = strict_yaml.read(file)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"resume: {file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(name), dict) for name in _PARTS):
        raise UsageError(f"resume: {file}: expected {', '.join(_PARTS)} with their options, as a run has written it")
    return content


def _trainer_of(file: Path) -> dict[str, Any]:
    # The options with which a run was begun, as far as they are here.
    return dict(_configuration(file)["trainer"]) if os.path.exists(file) else {}


def _given_file(target: str) -> Path | None:
    path = Path(target)
    if os.path.isfile(path):  # of any name, one that is too long say
        return path
    if path.suffix == ".ckpt" or len(path.parts) > 1:
        raise UsageError(f"resume: expected a run's id or a checkpoint, got {target}, and there is no such file")
    return None


def _opened(tracking: TrackingSettings, run_id: str) -> Store:
    if tracking.missing_file() is not None:
        uri = tracking.shown_uri
        raise UsageError(f"resume: there is no run {run_id}, since there is no {uri}; tracking.root says where")
    return Store.open(tracking)
