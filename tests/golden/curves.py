"""The training objective of the first 50 steps of the runs under conf/, in float64 and with batches of ten rows."""

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback
from rich.console import Console

from reparam_suite import data
from reparam_suite.commands.options import Options
from reparam_suite.data.downloaded import DownloadedDataModule
from reparam_suite.running.assembly import assemble
from reparam_suite.running.surroundings import Surroundings
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.training import StopSignals

CONF = Path(__file__).parents[2] / "conf"
NUM_STEPS = 50


def embedded() -> list[Path]:
    """The files whose data need no download."""
    classes = {
        file: yaml.safe_load(file.read_text(encoding="utf-8"))["data"]["class_path"] for file in CONF.glob("*.yaml")
    }
    return sorted(file for file, name in classes.items() if not issubclass(getattr(data, name), DownloadedDataModule))


class _Objectives(Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.values.append(float(outputs["objective"]))


_SHORT = (
    f"--trainer.max_steps={NUM_STEPS}",
    "--trainer.limit_val_batches=0",
    "--trainer.accelerator=cpu",
    "--data.batch_size=10",
)


def curve(file: Path, *more: str) -> list[float]:
    """The objective of each step, by Lightning's loop, weights and batches in float64; `more` are further options."""
    run = Options.of(["--config", str(file), *_SHORT, *more]).run()
    objectives = _Objectives()
    with unchanged_globals():
        parts = assemble(run, Surroundings(Console(quiet=True), StopSignals(), relaunch=()))
        moved = parts.data.on_after_batch_transfer
        parts.data.on_after_batch_transfer = lambda batch, index: moved(batch, index).double()
        parts.trainer.callbacks.append(objectives)
        parts.trainer.fit(parts.model.double(), datamodule=parts.data)
    return objectives.values
