"""Whether a model's own `configure_optimizers` returns what Lightning takes."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.optim import Optimizer

from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.random_streams import forked_generator


def check_own_optimizer(model: LightningModule, trainer: Trainer) -> None:
    """Refuses what is no optimizer, before a run exists.

    A method that raises an error, since it asks for what a run alone has, is left to the run.

    Raises:
        UsageError: naming the model and what it returned.
    """
    try:
        with forked_generator(trainer.strategy.root_device):
            made = model.configure_optimizers()
    except Exception:  # noqa: BLE001 - of a user's own method
        return
    if not _is_taken(made):
        raise UsageError(
            f"model: expected an optimizer from {type(model).__name__}.configure_optimizers, or those that Lightning "
            f"takes with their schedulers, got {made!r:.200}"
        )


def _is_taken(made: Any) -> bool:
    if made is None or isinstance(made, Optimizer):
        return True
    if isinstance(made, Mapping):
        return isinstance(made.get("optimizer"), Optimizer)
    if not isinstance(made, list | tuple) or not made:
        return False
    first = made[0] if isinstance(made[0], list | tuple) else made  # of optimizers, then of schedulers
    return all(_is_taken(member) and member is not None for member in first)
