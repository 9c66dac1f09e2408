"""A run's model, data and trainer, made and checked against each other; nothing is recorded yet."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy

from reparam_suite.data import DataModule, adapted
from reparam_suite.running.compatibility import check_fit
from reparam_suite.running.specification import DEFAULT_STEPS, Specification
from reparam_suite.running.surroundings import Surroundings
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.global_state import quiet
from reparam_suite.runtime.random_streams import seed_everything
from reparam_suite.training import CheckpointFiles, Replicas, check_compilable, compile_options, shorten_loop

_DEFAULTS: dict[str, Any] = {
    "accelerator": "auto",
    "devices": 1,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}
_OF_THE_RUN = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
_STRATEGIES = ("auto", "ddp")
_HALF = (16, "16", "16-mixed")
_PRECISIONS = (None, 32, "32", "32-true", 16, "16", "16-mixed", "bf16", "bf16-mixed")


@final
@dataclass(frozen=True)
class Assembly:
    """What a run consists of, ready to train.

    Args:
        run: what was asked for.
        model: with all parameters.
        data: set up, on the device.
        given_data: the data as they were given, before they were adapted.
        trainer: without a logger and without callbacks of the run.
        monitor: the metric whose best value selects the weights; None if there is none.
    """

    run: Specification
    model: Any
    data: DataModule
    given_data: LightningDataModule
    trainer: Trainer
    monitor: str | None

    @property
    def tests(self) -> bool:
        """Whether there is something to test, and something to test it on."""
        return _overrides(self.model, "test_step") and self.data.has("test")


def assemble(run: Specification, surroundings: Surroundings) -> Assembly:
    """Seeds the generators, makes the parts of a run and checks them.

    Raises:
        UsageError: if options are out of range or parts do not fit.
        DataError: if the data cannot be had.
    """
    quiet()
    seed_everything(run.seed)
    model: Any = run.model if isinstance(run.model, LightningModule) else run.model()
    check_model(model)
    given_data = run.data if isinstance(run.data, LightningDataModule) else run.data()
    data = adapted(given_data)
    trainer = make_trainer(run, surroundings)
    data.trainer = trainer  # which knows the device, and this process's share of the rows
    data.prepare_data()
    data.setup("fit")
    data.begin(run.seed)
    _check_validation_interval(trainer, data)
    _check_record(run, model)
    check_fit(model, data)
    if run.compile:
        _check_compilable(model, trainer)
    monitor = run.monitor or getattr(model, "monitor", None)
    return Assembly(run, model, data, given_data, trainer, monitor)


def check_model(model: object) -> None:
    """Refuses what cannot be trained with a gradient estimator.

    Raises:
        TypeError: saying what is missing.
    """
    missing = [name for name in ("expectation", "estimator") if not hasattr(model, name)]
    if not isinstance(model, LightningModule) or missing:
        lacks = f" without {' and '.join(missing)}" if isinstance(model, LightningModule) else ""
        raise TypeError(
            "model: expected a LightningModule with `expectation(batch)` and `estimator`, "
            f"got {type(model).__name__}{lacks}; reparam_suite.models.EstimatorModule is a base for models of your own"
        )


def make_trainer(run: Specification, surroundings: Surroundings) -> Trainer:
    """The trainer of a run.

    Raises:
        UsageError: if Lightning refuses an option, or a run cannot do what it asks for.
    """
    options = {**_DEFAULTS, **run.trainer, **_limits(run)}
    check_trainer_options(options)
    loggers = options.pop("logger", None)
    callbacks = options.pop("callbacks", None) or []
    try:
        options["callbacks"] = [_made(each) for each in (callbacks if isinstance(callbacks, list) else [callbacks])]
        trainer = Trainer(**{**options, **_OF_THE_RUN})
        if isinstance(trainer.strategy, DDPStrategy):
            if surroundings.relaunch is None:
                raise UsageError(
                    "trainer.devices: expected one, since further processes start the same program again and this "
                    f"one is no file, got {options['devices']}"
                )
            strategy = Replicas(command=list(surroundings.relaunch), seed=run.seed)
            trainer = Trainer(**{**options, **_OF_THE_RUN, "strategy": strategy})
    except UsageError:
        raise
    except (ValueError, TypeError, ImportError, MisconfigurationException) as error:
        raise UsageError(f"trainer: {' '.join(str(error).split())}") from error
    trainer.loggers = _as_list(loggers)
    trainer.strategy.checkpoint_io = CheckpointFiles()
    shorten_loop(trainer)
    return trainer


def check_trainer_options(options: Mapping[str, Any]) -> None:
    """Refuses what Lightning accepts and a run cannot do: no step, no test, weights that are not float32.

    Raises:
        UsageError: naming the option.
    """
    unknown = sorted(set(options) - set(inspect.signature(Trainer).parameters))
    if unknown:
        raise UsageError(f"trainer: expected options of Lightning's Trainer, got {', '.join(unknown)}")
    for name in ("limit_train_batches", "limit_test_batches"):
        if name in options and options[name] == 0:
            raise UsageError(f"trainer.{name}: a run trains and tests, expected more than 0, got 0")
    if options.get("barebones"):
        raise UsageError("trainer.barebones: a run is recorded, expected False, got True")
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


def _limits(run: Specification) -> dict[str, Any]:
    if run.max_steps is None and run.max_epochs is None and not run.trainer.get("max_time"):
        return {"max_steps": DEFAULT_STEPS, "max_epochs": -1}
    return {
        "max_steps": -1 if run.max_steps is None else run.max_steps,
        "max_epochs": -1 if run.max_epochs is None else run.max_epochs,
    }


def _made(callback: Any) -> Any:
    return callback() if hasattr(callback, "description") else callback


def _as_list(loggers: Any) -> list[Any]:
    if loggers in (None, True, False):
        return []
    return list(loggers) if isinstance(loggers, list | tuple) else [loggers]


def _check_validation_interval(trainer: Trainer, data: DataModule) -> None:
    # Lightning finds out when the run has begun.
    interval = trainer.val_check_interval
    if trainer.check_val_every_n_epoch is None or not isinstance(interval, int):
        return
    if interval > (num_batches := len(data.train_dataloader())):
        raise UsageError(
            f"trainer.val_check_interval: an epoch has {num_batches} batches, expected at most that many, "
            f"got {interval}"
        )


def _check_record(run: Specification, model: Any) -> None:
    few, many = getattr(model, "num_test_samples", 0), run.record.test_samples
    if run.record.test_data and many <= few:
        raise UsageError(f"record.test_samples: expected more than the {few} of every test, got {many}")


def _check_compilable(model: LightningModule, trainer: Trainer) -> None:
    if isinstance(trainer.strategy, DDPStrategy):
        raise UsageError("compile: expected one process, got several")
    try:
        check_compilable(model)
        compile_options(trainer.strategy.root_device)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _overrides(model: LightningModule, name: str) -> bool:
    return getattr(type(model), name, None) is not getattr(LightningModule, name, None)
