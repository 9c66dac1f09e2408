"""Options of Lightning's Trainer: what a run takes, and what it refuses since it could not do what is promised."""

import inspect
import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger

from reparam_suite.data import DataModule
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.plain_data import Described

_STRATEGIES = ("auto", "ddp")
_HALF = (16, "16", "16-mixed")
_PRECISIONS = (None, 32, "32", "32-true", 16, "16", "16-mixed", "bf16", "bf16-mixed")

# Option: the values that are accepted, and why no other is.
_FIXED: dict[str, tuple[tuple[Any, ...], str]] = {
    "barebones": ((False,), "a run is recorded"),
    "fast_dev_run": ((False, 0), "a run is recorded whole, and a small max_steps makes it short"),
    "overfit_batches": ((0,), "epochs would have other batches each; data with few rows are what can be overfitted"),
    "enable_checkpointing": ((None,), "a run keeps the checkpoints that `checkpoint` says"),
    "limit_predict_batches": ((None,), "a run predicts nothing"),
    "use_distributed_sampler": ((True,), "each of several processes has its share of every batch"),
    "reload_dataloaders_every_n_epochs": ((0,), "a resumed run would not find its place in the data"),
    "default_root_dir": ((None,), "a run is stored below tracking.root"),
    "plugins": ((None, []), "a run has plugins of its own for checkpoints and processes"),
    "model_registry": ((None,), "a run is recorded in MLflow, which has a registry"),
}

# Option: what its value has to be. None is left to Lightning.
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "accumulate_grad_batches": (lambda value: _whole(value, 1), "a whole number of at least 1"),
    "check_val_every_n_epoch": (lambda value: _whole(value, 1), "a whole number of at least 1"),
    "num_nodes": (lambda value: _whole(value, 1), "a whole number of at least 1"),
    "log_every_n_steps": (lambda value: _whole(value, 0), "a whole number of at least 0"),
    "num_sanity_val_steps": (lambda value: _whole(value, -1), "a whole number of at least 0, or -1 for all"),
    "min_steps": (lambda value: _whole(value, 1), "a whole number of at least 1"),
    "min_epochs": (lambda value: _whole(value, 1), "a whole number of at least 1"),
    "gradient_clip_val": (lambda value: _number(value) and 0.0 < value < math.inf, "a positive, finite number"),
    "limit_train_batches": (lambda value: _share(value) and value > 0, "a share of at most 1.0, or a whole number"),
    "limit_val_batches": (lambda value: _share(value), "a share of at most 1.0, or a whole number"),
    "limit_test_batches": (lambda value: _share(value) and value > 0, "a share of at most 1.0, or a whole number"),
    "val_check_interval": (
        lambda value: not _number(value) or (_share(value) and value > 0),
        "a share of an epoch up to 1.0, or a whole number of batches",
    ),
    "max_time": (lambda value: _seconds(value) != 0.0, "a time above 0"),
    "profiler": (lambda value: value != "xla", "simple, advanced, pytorch or a Profiler"),
}


def check_trainer_options(options: Mapping[str, Any]) -> None:
    """Refuses what Lightning accepts and a run cannot do: no step, no test, weights that are not float32.

    Raises:
        UsageError: naming the option.
    """
    unknown = sorted(set(options) - set(inspect.signature(Trainer).parameters))
    if unknown:
        raise UsageError(f"trainer: expected options of Lightning's Trainer, got {', '.join(unknown)}")
    if (logger := options.get("logger")) is not None:
        raise UsageError(
            "trainer.logger: a run is recorded in MLflow, and its option `loggers` names others that get every number, "
            f"expected none, got {_named(logger)}"
        )
    for name in ("limit_train_batches", "limit_test_batches"):
        if name in options and options[name] == 0:
            raise UsageError(f"trainer.{name}: a run trains and tests, expected more than 0, got 0")
    for name, (accepted, why) in _FIXED.items():
        if name in options and options[name] not in accepted:
            raise UsageError(f"trainer.{name}: {why}, expected {accepted[0]}, got {options[name]!s:.100}")
    for name, (holds, expected) in _RANGES.items():
        if options.get(name) is not None and not holds(options[name]):
            raise UsageError(f"trainer.{name}: expected {expected}, got {options[name]}")
    if options.get("gradient_clip_algorithm") is not None and options.get("gradient_clip_val") is None:
        given = options["gradient_clip_algorithm"]
        raise UsageError(f"trainer.gradient_clip_algorithm: expected gradient_clip_val beside it, got {given} alone")
    _check_device(options)


def _named(value: Any) -> str:
    # An object by its class; one of a command is described.
    if isinstance(value, list | tuple):
        return ", ".join(map(_named, value))
    if isinstance(value, Described):
        value = value.description.get("class_path", value.description)
    elif isinstance(value, Logger):
        value = type(value).__name__
    return str(value).rpartition(".")[2]


def _check_device(options: Mapping[str, Any]) -> None:
    strategy, precision, accelerator = (options.get(name) for name in ("strategy", "precision", "accelerator"))
    if strategy not in (None, *_STRATEGIES):
        raise UsageError(f"trainer.strategy: expected {' or '.join(_STRATEGIES)}, got {strategy}")
    if precision not in _PRECISIONS:
        accepted = "32-true, 16-mixed or bf16-mixed"
        raise UsageError(f"trainer.precision: weights are float32, expected {accepted}, got {precision}")
    if precision in _HALF and (accelerator == "cpu" or not torch.cuda.is_available()):
        raise UsageError(f"trainer.precision: float16 needs a GPU, expected 32-true or bf16-mixed, got {precision}")
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UsageError(f"trainer.accelerator: there is no GPU here, expected auto or cpu, got {accelerator}")
    if options.get("sync_batchnorm") and (accelerator == "cpu" or not torch.cuda.is_available()):
        raise UsageError("trainer.sync_batchnorm: torch has it for GPUs alone, expected False, got True")


def check_limits(trainer: Trainer, data: DataModule) -> None:
    """Refuses limits and intervals that leave no batch of these data; Lightning finds out when the run has begun.

    Raises:
        UsageError: naming the option, and the number of batches that there are.
    """
    for name, split in (("train", "train"), ("val", "valid"), ("test", "test")):
        limit = getattr(trainer, f"limit_{name}_batches")
        if isinstance(limit, float) and 0.0 < limit < 1.0 and data.has(split):  # type: ignore[arg-type]
            _check_share(f"limit_{name}_batches", limit, _num_batches(data, split))
    interval, by_epoch = trainer.val_check_interval, trainer.check_val_every_n_epoch is not None
    if isinstance(interval, float) and interval == 1.0:
        return
    if (num_batches := _num_batches(data, "train")) is None:
        return
    limit = trainer.limit_train_batches
    num_batches = int(num_batches * limit) if isinstance(limit, float) else min(num_batches, limit)
    _check_share("val_check_interval", interval, num_batches)
    if by_epoch and isinstance(interval, int) and interval > num_batches:
        raise UsageError(
            f"trainer.val_check_interval: an epoch has {num_batches} batches, expected at most that many, "
            f"got {interval}"
        )


def _check_share(name: str, share: Any, num_batches: int | None) -> None:
    if isinstance(share, float) and num_batches is not None and int(num_batches * share) == 0:
        least = math.ceil(1e4 / num_batches) / 1e4
        raise UsageError(f"trainer.{name}: there are {num_batches} batches, expected at least {least:g}, got {share}")


def _num_batches(data: DataModule, split: str) -> int | None:
    # None where a loader cannot tell, as of a stream.
    if split == "test":
        data.setup("test")
    loaders = {"train": data.train_dataloader, "valid": data.val_dataloader, "test": data.test_dataloader}
    try:
        return len(loaders[split]())
    except TypeError:
        return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _share(value: Any) -> bool:
    return _whole(value, 0) or (isinstance(value, float) and 0.0 <= value <= 1.0)


def _seconds(value: Any) -> float:
    # As Lightning's Timer reads it; what it cannot read, it refuses itself.
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return timedelta(**value).total_seconds()
    try:
        days, hours, minutes, seconds = (int(part) for part in str(value).split(":"))
    except ValueError:
        return math.nan
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
