"""Training before a measurement: a run whose record is thrown away."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from lightning.pytorch import Callback, LightningDataModule
from rich.console import Console

from reparam_suite.models import EstimatorModule
from reparam_suite.running import Observer, Run, Surroundings
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import StopSignals

M = TypeVar("M", bound=EstimatorModule)


class _Brief(Observer):
    # No test, no figures, no exported model.
    tests = in_full = False


def trained(
    model: M | Callable[[], M],
    data: LightningDataModule,
    num_steps: int,
    *,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    options: dict[str, Any] | None = None,
) -> M:
    """The model after so many steps of a run on the CPU, with its last weights, in eval mode.

    Args:
        model: a module, or a callable that makes one: then its weights depend on `seed`.
        data: to train on.
        num_steps: of the optimizer.
        seed: of the run.
        callbacks: added to those of the run.
        options: further ones of Lightning's Trainer.
    """
    with TemporaryDirectory() as root:
        run = Run(
            model,
            data,
            seed=seed,
            max_steps=num_steps,
            trainer={"accelerator": "cpu", "limit_val_batches": 0, "callbacks": list(callbacks), **(options or {})},
            tracking=TrackingSettings(uri=f"sqlite:///{root}/mlflow.db", root=Path(root)),
        )
        result = run.fit_within(Surroundings(Console(quiet=True), StopSignals(), relaunch=None, observer=_Brief()))
    assert result is not None
    trained: M = result.model
    return trained
