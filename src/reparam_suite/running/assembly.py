"""A run's model, data and trainer, made and checked against each other; nothing is recorded yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_only

from reparam_suite.data import DataModule, adapted
from reparam_suite.models import EstimatorModule
from reparam_suite.running.compatibility import check_fit
from reparam_suite.running.loggers import made_loggers
from reparam_suite.running.monitors import check_monitors
from reparam_suite.running.own_callbacks import check_own_callbacks
from reparam_suite.running.own_optimizers import check_own_optimizer
from reparam_suite.running.process_environment import OwnProcesses, process_environment
from reparam_suite.running.specification import DEFAULT_STEPS, Specification
from reparam_suite.running.surroundings import Surroundings
from reparam_suite.running.trainer_options import check_limits, check_trainer_options
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.global_state import quiet
from reparam_suite.runtime.plain_data import Described
from reparam_suite.runtime.random_streams import seed_everything
from reparam_suite.tracking import LoggerOfRun
from reparam_suite.training import CheckpointFiles, Replicas, check_compilable, compile_options, shorten_loop

_DEFAULTS: dict[str, Any] = {
    "accelerator": "auto",
    "devices": 1,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}
_OF_THE_RUN = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}


@final
@dataclass(frozen=True)
class Assembly:
    """The parts of a run, ready to train.

    Args:
        run: what was asked for.
        model: with all parameters.
        data: set up, on the device.
        given_data: the data as they were given, before they were adapted.
        trainer: without a logger and without callbacks of the run.
        loggers: beside the run's record.
        monitor: the metric whose best value selects the weights; None if there is none.
    """

    run: Specification
    model: Any
    data: DataModule
    given_data: LightningDataModule
    trainer: Trainer
    loggers: Sequence[Logger | LoggerOfRun]
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
    loggers = made_loggers(run.loggers)
    trainer = make_trainer(run, surroundings)
    data.trainer = trainer  # which knows the device, and this process's share of the rows
    data.prepare_data()
    data.setup("fit")
    data.begin(run.seed)
    _ = data.kind  # of data from outside decided by reading all splits; those that contradict each other are refused
    check_limits(trainer, data)
    _check_record(run, model)
    check_fit(model, data)
    _check_optimizer(model, trainer)
    check_own_callbacks(model, trainer)
    if run.compile:
        _check_compilable(model, trainer)
    check_monitors(model, data, trainer, run.monitor)
    monitor = run.monitor or getattr(model, "monitor", None)
    return Assembly(run, model, data, given_data, trainer, loggers, monitor)


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
    given = {name: value.item() if isinstance(value, np.generic) else value for name, value in run.trainer.items()}
    options = {**_DEFAULTS, **given, **_limits(run)}
    check_trainer_options(options)
    try:
        options["callbacks"] = _made_callbacks(options.pop("callbacks", None))
        trainer = Trainer(**{**options, **_OF_THE_RUN, "plugins": [OwnProcesses()]})
        processes = process_environment(trainer, options["devices"])
        if isinstance(trainer.strategy, DDPStrategy):
            if surroundings.relaunch is None and not processes.creates_processes_externally:
                raise UsageError(
                    "trainer.devices: expected one, since further processes start the same program again, which has "
                    f"to be a file whose first run this is, got {options['devices']}"
                )
            strategy = Replicas(command=list(surroundings.relaunch or []), seed=run.seed)
            trainer = Trainer(**{**options, **_OF_THE_RUN, "strategy": strategy, "plugins": [processes]})
    except UsageError:
        raise
    except Exception as error:  # whatever Lightning, or a callback of the user's, makes of the options
        raise UsageError(f"trainer: {' '.join(str(error).split()) or type(error).__name__}") from error
    rank_zero_only.rank = trainer.global_rank  # type: ignore[attr-defined]  # guessed from variables until now
    trainer.strategy.checkpoint_io = CheckpointFiles()
    shorten_loop(trainer)
    return trainer


def _limits(run: Specification) -> dict[str, Any]:
    if run.max_steps is None and run.max_epochs is None and not run.trainer.get("max_time"):
        return {"max_steps": DEFAULT_STEPS, "max_epochs": -1}
    return {
        "max_steps": -1 if run.max_steps is None else run.max_steps,
        "max_epochs": -1 if run.max_epochs is None else run.max_epochs,
    }


def _made_callbacks(given: Any) -> list[Any]:
    # Those of a command are described, and made with the run.
    if given is None:
        return []
    parts = given if isinstance(given, list | tuple) else [given]
    return [part() if isinstance(part, Described) else part for part in parts]


def _check_optimizer(model: Any, trainer: Trainer) -> None:
    # torch looks at the values of options, and at the parameters, when the optimizer is made.
    if not isinstance(model, EstimatorModule) or _overrides(model, "configure_optimizers", EstimatorModule):
        check_own_optimizer(model, trainer)
        return
    try:
        made = model.made_optimizer()
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"model.optimizer: {' '.join(str(error).split())}") from error
    device = trainer.strategy.root_device.type
    if device == "cpu" and any(group.get("capturable") for group in made.param_groups):
        raise UsageError("model.optimizer: expected capturable false, since it is for GPUs, got true on the CPU")


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


def _overrides(model: LightningModule, name: str, base: type = LightningModule) -> bool:
    return getattr(type(model), name, None) is not getattr(base, name, None)
