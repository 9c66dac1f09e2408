"""The metrics that a model logs in validation, found out on one batch: monitors are checked before a run exists."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from reparam_suite.data import DataModule
from reparam_suite.models import EstimatorModule
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.training import UnknownMonitorError


def check_monitors(model: Any, data: DataModule, trainer: Trainer, monitor: str | None) -> None:
    """Refuses monitors, the run's and those of callbacks, that are none of the metrics of a validation.

    A model whose hooks need a trainer at work, and callbacks of a user's own, which may log what they like, are left to
    the first validation. EarlyStopping then has to wait for its metric: a run may end before its first epoch does.

    Raises:
        UsageError: naming the metrics that there are.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    watching = [callback for callback in callbacks if isinstance(getattr(callback, "monitor", None), str)]
    if monitor is None and not watching:
        return
    if (names := validation_metrics(model, data, trainer)) is None:
        return
    known = all(type(callback).__module__.startswith("lightning.") for callback in callbacks)
    if known and monitor is not None:
        _check("", monitor.removeprefix("-"), names)
    known &= type(model).training_step is getattr(EstimatorModule, "training_step", None)
    for callback in watching:
        name = str(callback.monitor)  # type: ignore[attr-defined]
        if known:
            _check(f"trainer.callbacks: {type(callback).__name__}: ", name, names)
        if isinstance(callback, EarlyStopping) and name in names:
            callback.strict = False


def validation_metrics(model: Any, data: DataModule, trainer: Trainer) -> list[str] | None:
    """The names that a model gives to `self.log` in a validation; None where a batch alone does not show them.

    The model is in eval mode and generators are forked: training begins as if this had not been.
    """
    if trainer.limit_val_batches == 0 or not data.has("valid"):
        return []
    names: list[str] = []

    def log(name: str, *_: object, **__: object) -> None:
        names.append(name)

    def log_dict(dictionary: Mapping[str, object], *_: object, **__: object) -> None:
        names.extend(dictionary)

    batch = data.sample_batch("valid")
    modes = {module: module.training for module in model.modules()}
    model.eval()
    attached, model.trainer, trainer.datamodule = model.__dict__.get("_trainer"), trainer, data  # type: ignore[attr-defined]
    object.__setattr__(model, "log", log)
    object.__setattr__(model, "log_dict", log_dict)
    try:
        with forked_generator(_device(model)), torch.no_grad():
            model.on_validation_epoch_start()
            model.validation_step(batch, 0)
            model.on_validation_epoch_end()
    except Exception:  # noqa: BLE001 - of hooks of a user's own, which may ask for what a run alone has
        return None
    finally:
        object.__delattr__(model, "log")
        object.__delattr__(model, "log_dict")
        model.trainer = attached
        for module, training in modes.items():
            module.training = training
    return sorted(set(names))


def _device(model: LightningModule) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _check(what: str, name: str, names: list[str]) -> None:
    if not names:
        raise UsageError(f"{what}monitor: expected a validation that gives {name}, got none")
    if name not in names:
        raise UsageError(f"{what}{UnknownMonitorError(name, names, get_close_matches(name, names, n=1))}")
