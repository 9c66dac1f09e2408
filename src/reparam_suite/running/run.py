"""One run: from a parsed command line to a finished record."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, final

import torch
import yaml
from lightning.pytorch import Callback, Trainer
from rich.console import Console
from torch import nn

from reparam_suite.running.artifacts import model_figures, training_figures
from reparam_suite.commands.command_line import Command
from reparam_suite.diagnostics import bound_of_many_samples
from reparam_suite.estimators import GradientEstimator
from reparam_suite.running.resumption import CONFIG, Resumption, checkpoint_directory
from reparam_suite.tracking import RunLogger, Store, TrackingSettings, run_name
from reparam_suite.training import (
    BEST,
    LAST,
    BetweenSteps,
    CheckpointFiles,
    Checkpoints,
    CheckpointSettings,
    EndpointRecord,
    GradientRecord,
    Journal,
    LatentRecord,
    PathRecord,
    ProgressBar,
    Replicas,
    StepRecord,
    Stopped,
    StopSignals,
    Validation,
    end_training,
    read_checkpoint,
    write_durably,
)
from reparam_suite.commands.usage import UsageError


@final
@dataclass(frozen=True)
class Run:
    """A run that has ended well.

    Args:
        name: of the run.
        seed: of the weights, the noise and the order of the data.
        run_id: MLflow's.
        journal: all of its metrics.
        store: where it is recorded.
        num_steps: optimizer steps.
        objective_name: what the training objective is called.
        artifacts: where its files are.
    """

    name: str
    seed: int
    run_id: str
    journal: Journal
    store: Store
    num_steps: int
    objective_name: str
    artifacts: str


@final
class RunStopped(Exception):  # noqa: N818 - it says what happened
    """A signal has ended a run; the message says how far it has come and how it goes on.

    Attributes:
        exit_code: of the command.
    """

    def __init__(self, stopped: Stopped, step: int, command: str) -> None:
        super().__init__(f"{stopped.what} after step {step}; the run is recorded as KILLED. To go on: {command}")
        self.exit_code = stopped.exit_code


def train(command: Command, console: Console, signals: StopSignals, going_on: Resumption | None = None) -> Run | None:
    """Trains, tests and records; the record is complete whatever happens.

    Of several processes the first one alone records, shows and returns anything. It opens the store before it joins
    the others, or starts them.

    Raises:
        UsageError: if the trainer's options do not fit the data.
        DataError: if the data cannot be had.
        TrackingError: if the run cannot be recorded. Nothing has been created then.
        NonFiniteLoss: if training diverged.
        CheckpointError: if the weights that validated best cannot be read again.
        RunStopped: if a signal ended it.
        ProcessLost: if another of several processes has died.
    """
    model, data, trainer = command.model, command.datamodule, command.trainer
    prepare(command)
    journal, checkpoints = Journal(), Checkpoints()
    trainer.strategy.checkpoint_io = CheckpointFiles()
    shown = console if trainer.is_global_zero else Console(quiet=True)
    trainer.callbacks.extend(callbacks(command, journal, checkpoints, shown, signals))  # type: ignore[attr-defined]
    if not trainer.is_global_zero:
        _fit_and_test(command, journal, checkpoints, going_on)
        return None
    settings = TrackingSettings(**vars(command.config_init.tracking))
    store = Store.begin(settings, partial(console.print, soft_wrap=True, markup=False))
    name = run_name(estimator_name(model.estimator), type(model).__name__, data.name, command.config.seed)
    logger = _recorded(command, store, name, going_on)
    put_on_record(command, logger, journal, checkpoints, store.root)
    began = f", from step {going_on.step}" if going_on else ""
    console.print(f"[bold]{name}[/bold]  run {logger.run_id}{began}", soft_wrap=True)
    try:
        keep_config(command, checkpoints)
        num_steps = _fit_and_test(command, journal, checkpoints, going_on, lambda: logger.close("FAILED"))
        finish(command, logger, journal, checkpoints, num_steps)
    except Stopped as error:
        logger.close("KILLED")
        raise RunStopped(error, trainer.global_step, settings.resume_command(logger.run_id)) from error
    except BaseException:
        logger.close("FAILED")
        raise
    logger.close("FINISHED")
    seed = command.config.seed
    return Run(name, seed, logger.run_id, journal, store, num_steps, model.objective_name, logger.artifact_uri)


def prepare(command: Command) -> None:
    """Gets the data, and checks what only they can tell.

    Raises:
        UsageError: if the trainer's options do not fit the data.
        DataError: if the data cannot be had.
    """
    data = command.datamodule
    data.prepare_data()
    data.trainer = command.trainer  # which knows the device, and this process's share of the rows
    data.setup()
    _check_validation_interval(command)


def put_on_record(command: Command, logger: RunLogger, journal: Journal, checkpoints: Checkpoints, root: Path) -> None:
    """Has a command's trainer write to a run, and its checkpoints to the run's directory below `root`."""
    data = command.datamodule
    sizes = {str(split): rows for split, rows in data.sizes.items()}
    logger.log_dataset(data.name, data.digest, data.source, sizes, "training")
    journal.logger = command.trainer.logger = logger
    checkpoints.directory = checkpoint_directory(root, logger.run_id)
    checkpoints.identity = {"run_id": logger.run_id, "data": command.resolved_config()["data"]}


def _recorded(command: Command, store: Store, name: str, going_on: Resumption | None) -> RunLogger:
    """The run's record: a new one, or that of a run which goes on."""
    config = command.resolved_config()
    text = yaml.safe_dump(config, sort_keys=False)
    if going_on is None:
        # Its own name beside the dotted path of the class: that is what MLflow's comparisons put on an axis.
        parameters = {"estimator": estimator_name(command.model.estimator), **config}
        return store.start_run(name=name, parameters=parameters, tags=run_tags(command), config_file=text)
    logger = store.resume_run(going_on.run_id)
    logger.log_hyperparams(config)
    logger.log_text(text, CONFIG)
    return logger


def keep_config(command: Command, checkpoints: Checkpoints) -> None:
    """Puts the configuration beside the checkpoints, since a run may be killed before the store has its artifacts."""
    directory = checkpoints.directory
    assert directory is not None
    config = {key: value for key, value in command.resolved_config().items() if key != "tracking"}
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f"{CONFIG}.unfinished"
    write_durably(unfinished, yaml.safe_dump(config, sort_keys=False).encode())
    os.replace(unfinished, directory / CONFIG)


def _fit_and_test(
    command: Command,
    journal: Journal,
    checkpoints: Checkpoints,
    going_on: Resumption | None,
    end: Callable[[], object] | None = None,
) -> int:
    """What all processes do together; the optimizer steps that were taken. `end` is for one that hangs for ever."""
    model, data, trainer = command.model, command.datamodule, command.trainer
    with together(trainer, end):
        trainer.fit(model, datamodule=data, ckpt_path=going_on.checkpoint if going_on else None, weights_only=True)
        if going_on and going_on.ended:
            end_training(trainer, model)
        num_steps = trainer.global_step
        evaluate_best(command, journal, checkpoints, num_steps)
    return num_steps


@contextmanager
def together(trainer: Trainer, end: Callable[[], object] | None = None) -> Iterator[None]:
    """Within this context several processes train; all of them end with it. One that is alone notices nothing.

    Args:
        trainer: of this process.
        end: is called if this process has to be ended while it hangs, because another one has died.

    Raises:
        ProcessLost: if another process has died.
    """
    replicas = trainer.strategy
    if not isinstance(replicas, Replicas):
        yield
        return
    replicas.on_loss(end)
    try:
        yield
    except BaseException as error:
        lost = replicas.lost(error)
        replicas.close(failed=True)
        if lost is not None:
            raise lost from error
        raise
    replicas.close(failed=False)


def estimator_name(estimator: GradientEstimator) -> str:
    """The estimator, and the baseline where it has one."""
    parts = [estimator, getattr(estimator, "baseline", None)]
    return "-".join(type(each).__name__ for each in parts if isinstance(each, nn.Module))


def _check_validation_interval(command: Command) -> None:
    # Lightning finds out when the run has begun.
    interval, num_batches = command.trainer.val_check_interval, len(command.datamodule.train_dataloader())
    each_epoch = command.trainer.check_val_every_n_epoch is not None
    if each_epoch and isinstance(interval, int) and interval > num_batches:
        raise UsageError(
            f"--trainer.val_check_interval: an epoch has {num_batches} batches, expected at most that many, "
            f"got {interval}"
        )


def run_tags(command: Command) -> dict[str, str]:
    """What a run is told apart by in MLflow."""
    model, data = command.model, command.datamodule
    return {
        "model": type(model).__name__,
        "posterior": type(model.posterior).__name__,
        "estimator": estimator_name(model.estimator),
        "estimator.unbiased": str(model.estimator.unbiased).lower(),
        "bound": type(model.bound).__name__,
        "kl": model.kl,
        "dataset": data.name,
        "seed": str(command.config.seed),
        "device": _device_name(command.trainer.strategy.root_device),
        "num_threads": str(torch.get_num_threads()),
        "num_processes": str(command.trainer.world_size),
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def callbacks(
    command: Command, journal: Journal, checkpoints: Checkpoints, console: Console, signals: StopSignals
) -> list[Callback]:
    """What every run is recorded, kept and shown by."""
    return [
        *recording_callbacks(command, journal, checkpoints, signals),
        ProgressBar(journal=journal, console=console),  # the last to stop
    ]


def recording_callbacks(
    command: Command, journal: Journal, checkpoints: Checkpoints, signals: StopSignals
) -> list[Callback]:
    """What every run is recorded and kept by."""
    # In this order: values are looked at before a checkpoint is written.
    settings: Any = command.config_init.record
    record = StepRecord(every=settings.every, journal=journal, checkpoints=checkpoints)
    kept = CheckpointSettings(**vars(command.config_init.checkpoint))
    return [
        BetweenSteps(settings=kept, checkpoints=checkpoints, record=record, signals=signals),
        record,
        Validation(journal=journal, record=record, checkpoints=checkpoints),
        LatentRecord(journal=journal, record=record),
        GradientRecord(every=settings.gradients_every, journal=journal, record=record),
        EndpointRecord(journal=journal, record=record),
        PathRecord(every=settings.gradients_every, journal=journal),
        checkpoints,
    ]


def _bound_of_many_samples(command: Command, tested: Mapping[str, float]) -> dict[str, float]:
    # On as many test data as are to be paid for; the name says if they are not all.
    settings: Any = command.config_init.record
    if settings.test_data == 0:
        return {}
    model = command.model
    (num_batches,) = command.trainer.num_test_batches
    tested_on = islice(command.datamodule.undivided("test"), int(num_batches))
    x = torch.cat([batch.to(model.device) for batch in tested_on])
    few = model.num_test_samples
    bound = bound_of_many_samples(
        model,
        x,
        settings.test_samples,
        num_data=settings.test_data,
        few_samples=few,
        bound_of_few=x.new_tensor(tested[f"test/bound_{few}"]),
    )
    name = f"test/bound_{settings.test_samples}"
    if settings.test_data >= len(x):
        return {name: float(bound.value)}
    name = f"{name}_from_{settings.test_data}"
    return {name: float(bound.value), f"{name}_standard_error": float(bound.standard_error)}


def evaluate_best(command: Command, journal: Journal, checkpoints: Checkpoints, num_steps: int) -> None:
    """Tests the weights that validated best, which stay in the model; last.ckpt holds the others."""
    # The other processes, which may be on a machine without the file, are given them by Lightning.
    model, data = command.model, command.datamodule
    assert checkpoints.directory is not None
    best = checkpoints.directory / BEST
    if command.trainer.is_global_zero and best.exists():
        model.load_state_dict(read_checkpoint(best)["state_dict"])
    command.trainer.test(model, datamodule=data, verbose=False)
    tested = {name: v.item() for name, v in command.trainer.callback_metrics.items() if name.startswith("test/")}
    journal.write(tested, num_steps)


def finish(command: Command, logger: RunLogger, journal: Journal, checkpoints: Checkpoints, num_steps: int) -> None:
    """Draws and exports a model that was tested, and records its figures, files and the bound of many samples."""
    model, data = command.model, command.datamodule
    assert checkpoints.directory is not None
    model.to(command.trainer.strategy.root_device)  # where the data are; Lightning has moved it to the CPU
    model.eval()
    tested = {name: journal.curves[name][-1][1] for name in journal.curves if name.startswith("test/")}
    journal.write(_bound_of_many_samples(command, tested), num_steps)
    for name, figure in (*model_figures(model, data), *training_figures(journal, model.objective_name)):
        logger.log_figure(figure, name)
    for checkpoint in (checkpoints.directory / BEST, checkpoints.directory / LAST):
        if checkpoint.exists():
            logger.log_artifact(checkpoint, "checkpoints")
    logger.log_model(model, data.sample_batch("valid"))
