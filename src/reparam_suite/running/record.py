"""The record of a run beside its metrics: its configuration, tags and data."""

import copy
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
import yaml
from torch import nn

from reparam_suite.running.assembly import Assembly
from reparam_suite.running.parameters import short_parameters
from reparam_suite.running.resumption import CONFIG, RUN_KEY, checkpoint_directory
from reparam_suite.runtime.expressions import written
from reparam_suite.runtime.plain_data import Described, opaque_parts, plain
from reparam_suite.tracking import RunLogger, run_name
from reparam_suite.tracking.views import KIND, TRAINING
from reparam_suite.training import Checkpoints, Journal, write_durably
from reparam_suite.training.metrics_file import NAME as METRICS
from reparam_suite.training.metrics_file import MetricsFile

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Record:
    """The record of a run from its beginning.

    Args:
        parameters: those that identify the run, and options that differ from their defaults.
        options: every option, nested.
        tags: by which runs are found and distinguished.
        text: of a configuration file that makes the same run again.
    """

    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    tags: Mapping[str, str]
    text: str


def record_of(parts: Assembly) -> Record:
    """The record of a run that begins."""
    config = configuration(parts)
    model, data = type(parts.model).__name__, parts.data.name
    parameters = short_parameters(config, estimator=estimator_name(parts.model.estimator), model=model, data=data)
    text = yaml.safe_dump(config, sort_keys=False)
    return Record(parameters, config, tags_of(parts) | dict(parts.run.tags), text)


def configuration(parts: Assembly) -> dict[str, Any]:
    """Every option with its value, in plain types: as a file for `fit --config` it makes the same run again."""
    run, trainer = parts.run, parts.trainer
    limits = {"max_steps": trainer.max_steps, "max_epochs": trainer.max_epochs}
    return {
        "seed": run.seed,
        "num_threads": torch.get_num_threads(),
        "compile": run.compile,
        "monitor": run.monitor,
        "name": run.name,
        "tags": {name: value for name, value in run.tags.items() if name != RUN_KEY},  # it is this one run's
        "trainer": {**plain(dict(run.trainer)), **limits},
        "loggers": plain(run.loggers),
        "model": description(parts.model, run.model),
        "data": description(parts.given_data, run.data),
        "tracking": plain(vars(run.tracking)),
        "record": plain(vars(run.record)),
        "checkpoint": plain(vars(run.checkpoint)),
    }


def description(made: object, given: object) -> Any:
    """The plain data of a part of a run; those that were given with it where the object itself does not say all."""
    data = plain(made)
    incomplete = any(True for _ in opaque_parts(data))
    return copy.deepcopy(given.description) if incomplete and isinstance(given, Described) else data


def run_name_of(parts: Assembly) -> str:
    """The name that was given, else estimator, seed and data."""
    return parts.run.name or run_name(estimator_name(parts.model.estimator), parts.run.seed, parts.data.name)


def estimator_name(estimator: nn.Module) -> str:
    """The estimator's class, and the baseline's where it has one."""
    parts = [estimator, getattr(estimator, "baseline", None)]
    return "-".join(type(part).__name__ for part in parts if isinstance(part, nn.Module))


def tags_of(parts: Assembly) -> dict[str, str]:
    """The tags by which runs are distinguished in MLflow."""
    model, trainer = parts.model, parts.trainer
    tags = {
        KIND: TRAINING,
        "model": type(model).__name__,
        "estimator": estimator_name(model.estimator),
        "estimator.expression": written(model.estimator),
        "estimator.unbiased": str(getattr(model.estimator, "unbiased", "unknown")).lower(),
        "dataset": parts.data.name,
        "dataset.summary": parts.data.summary,
        "dataset.kind": parts.data.kind or "unknown",
        "dataset.resumes": parts.data.resumes,
        "seed": str(parts.run.seed),
        "device": _device_name(trainer.strategy.root_device),
        "num_threads": str(torch.get_num_threads()),
        "num_processes": str(trainer.world_size),
    }
    if (posterior := getattr(model, "posterior", None)) is not None:
        tags["posterior"] = type(getattr(posterior, "family", posterior)).__name__
    if (objective := getattr(model, "objective", None)) is not None:
        tags["objective"] = written(objective)
    if parts.monitor is not None:
        tags["monitor"] = parts.monitor
    return tags


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def put_on_record(parts: Assembly, logger: RunLogger, journal: Journal, checkpoints: Checkpoints, root: Path) -> None:
    """Has a run's trainer write to its record, and its checkpoints to the run's directory below `root`."""
    data = parts.data
    rows = {str(split): number for split, number in data.num_rows.items()}
    logger.log_dataset(data.name, data.digest or "none", data.source, rows, "training")
    journal.logger = logger
    checkpoints.directory = checkpoint_directory(root, logger.run_id)
    journal.file = MetricsFile(checkpoints.directory / METRICS, journal.curves)
    checkpoints.identity = {
        "run_id": logger.run_id,
        "model": plain(parts.model),
        "data": plain(parts.given_data),
        "digest": data.digest,
        "order": dict(data.order),
    }


def keep_configuration(parts: Assembly, checkpoints: Checkpoints) -> None:
    """Puts the configuration beside the checkpoints, since a run may be killed before the store has its artifacts."""
    directory = checkpoints.directory
    assert directory is not None
    config = {key: value for key, value in configuration(parts).items() if key != "tracking"}
    unfinished = directory / f"{CONFIG}.unfinished"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_durably(unfinished, yaml.safe_dump(config, sort_keys=False).encode())
        os.replace(unfinished, directory / CONFIG)
    except OSError as error:  # the run's record has it as well
        _log.warning("%s cannot be written (%s); training continues", directory / CONFIG, error.strerror or error)
