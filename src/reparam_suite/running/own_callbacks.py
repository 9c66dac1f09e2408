"""Whether callbacks of Lightning can begin on a model: Lightning itself finds out when the run has begun."""

from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    LearningRateFinder,
    StochasticWeightAveraging,
)
from torch import nn

from reparam_suite.models import EstimatorModule
from reparam_suite.runtime.errors import UsageError
from reparam_suite.training.lightning_internals import averaging_start_and_rates

_AVERAGING = "trainer.callbacks: StochasticWeightAveraging"


def check_own_callbacks(model: Any, trainer: Trainer) -> None:
    """Refuses callbacks that ask for what there is not, or change an option of the run after it is recorded.

    Raises:
        UsageError: naming the callback and its argument.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, StochasticWeightAveraging):
            _check_averaging(callback, model, trainer)
        elif isinstance(callback, LearningRateFinder | BatchSizeFinder):
            found = "learning_rate" if isinstance(callback, LearningRateFinder) else "batch_size"
            raise UsageError(
                f"trainer.callbacks: a run trains with the {found} that is on record, and a study searches it, "
                f"expected no callback that changes it, got {type(callback).__name__}"
            )
        elif isinstance(callback, BackboneFinetuning) and not isinstance(getattr(model, "backbone", None), nn.Module):
            raise UsageError(
                f"trainer.callbacks: BackboneFinetuning: expected a model with a module backbone, got "
                f"{type(model).__name__}"
            )


def _check_averaging(callback: StochasticWeightAveraging, model: Any, trainer: Trainer) -> None:
    start, rates = averaging_start_and_rates(callback)
    if isinstance(start, float) and trainer.max_epochs in (None, -1):
        raise UsageError(
            f"{_AVERAGING}: swa_epoch_start: expected the number of an epoch without max_epochs, got {start:g}"
        )
    own = getattr(type(model), "configure_optimizers", None) is not EstimatorModule.configure_optimizers
    if isinstance(rates, list) and not own and len(rates) != (number := len(model.made_optimizer().param_groups)):
        raise UsageError(
            f"{_AVERAGING}: swa_lrs: expected one number, or {number} for {number} groups of parameters, got {rates}"
        )
