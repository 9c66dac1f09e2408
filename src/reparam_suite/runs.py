"""One run: from a parsed command line to a finished record."""

from dataclasses import dataclass
from typing import Any, final

import torch
import yaml
from lightning.pytorch import Callback
from rich.console import Console
from torch import nn

from reparam_suite.artifacts import model_figures, training_figures
from reparam_suite.command_line import Command
from reparam_suite.estimators import GradientEstimator
from reparam_suite.tracking import RunLogger, Store, TrackingSettings, run_name
from reparam_suite.training import Checkpoints, GradientRecord, Journal, ProgressBar, StepRecord, Validation
from reparam_suite.usage import UsageError


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


def train(command: Command, console: Console) -> Run:
    """Trains, tests and records; the record is complete whatever happens.

    Raises:
        UsageError: if the trainer's options do not fit the data.
        DataError: if the data cannot be had.
        TrackingError: if the run cannot be recorded. Nothing has been created then.
        NonFiniteLoss: if training diverged.
        KeyboardInterrupt: if Ctrl-C ended it.
    """
    model, data, trainer = command.model, command.datamodule, command.trainer
    data.prepare_data()
    data.setup()
    _check_validation_interval(command)
    config = command.resolved_config()
    store = Store.open(TrackingSettings(**vars(command.config_init.tracking)))
    for recovered in store.recover():
        if recovered.kind != "left alone":
            console.print(f"earlier run {recovered.run_id}  {recovered.outcome}", soft_wrap=True, markup=False)
    name = run_name(type(model).__name__, estimator_name(model.estimator), data.name, command.config.seed)
    logger = store.start_run(
        name=name, parameters=config, tags=_tags(command), config_file=yaml.safe_dump(config, sort_keys=False)
    )
    logger.log_dataset(
        data.name, data.digest, data.source, {str(split): rows for split, rows in data.sizes.items()}, "training"
    )

    journal, checkpoints = Journal(), Checkpoints()
    journal.logger = trainer.logger = logger
    checkpoints.directory = store.root / "checkpoints" / logger.run_id
    trainer.callbacks.extend(callbacks(command, journal, checkpoints, console))  # type: ignore[attr-defined]
    console.print(f"[bold]{name}[/bold]  run {logger.run_id}")
    try:
        trainer.fit(model, datamodule=data)
        num_steps = trainer.global_step
        _finish(command, logger, journal, checkpoints, num_steps)
    except BaseException as error:
        # Lightning makes SystemExit(1) of Ctrl-C; it calls a trainer interrupted whatever has stopped it.
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
            logger.close("KILLED")
            raise KeyboardInterrupt from error
        logger.close("FAILED")
        raise
    logger.close("FINISHED")
    seed = command.config.seed
    return Run(name, seed, logger.run_id, journal, store, num_steps, model.objective_name, logger.artifact_uri)


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


def _tags(command: Command) -> dict[str, str]:
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
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def callbacks(command: Command, journal: Journal, checkpoints: Checkpoints, console: Console) -> list[Callback]:
    """What every run is recorded, kept and shown by."""
    # In this order: values are looked at before a checkpoint is written, and the bar is the last to stop.
    settings: Any = command.config_init.record
    record = StepRecord(every=settings.every, journal=journal, checkpoints=checkpoints)
    return [
        record,
        Validation(journal=journal, record=record, checkpoints=checkpoints),
        GradientRecord(every=settings.gradients_every, journal=journal, record=record),
        checkpoints,
        ProgressBar(journal=journal, console=console),
    ]


def _finish(command: Command, logger: RunLogger, journal: Journal, checkpoints: Checkpoints, num_steps: int) -> None:
    # The weights that validated best are tested, drawn and exported; last.ckpt holds the others.
    model, data = command.model, command.datamodule
    assert checkpoints.directory is not None
    best = checkpoints.directory / "best.ckpt"
    if best.exists():
        model.load_state_dict(torch.load(best, weights_only=True, map_location="cpu")["state_dict"])
    command.trainer.test(model, datamodule=data, verbose=False)
    tested = {name: v.item() for name, v in command.trainer.callback_metrics.items() if name.startswith("test/")}
    journal.write(tested, num_steps)
    model.eval()
    for name, figure in (*model_figures(model, data), *training_figures(journal, model.objective_name)):
        logger.log_figure(figure, name)
    for checkpoint in sorted(checkpoints.directory.glob("*.ckpt")):
        logger.log_artifact(checkpoint, "checkpoints")
    logger.log_model(model, data.sample_batch("valid"))
