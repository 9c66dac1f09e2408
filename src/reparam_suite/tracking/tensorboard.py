"""TensorBoard's event files of a run, below the root directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from reparam_suite.tracking.loggers import LoggerOfRun, require
from reparam_suite.tracking.names import parameter_texts
from reparam_suite.tracking.run_logger import RunLogger

_FOLDER = "tensorboard"
_ID, _NAME = 8, 150  # characters of the run's id, and bytes of its name, in the name of a directory


@final
class TensorBoard(LoggerOfRun):
    """TensorBoard's event files in ROOT/tensorboard/NAME-ID: every number of the run, and its parameters as a text.

    `tensorboard --logdir mlruns/tensorboard` shows all runs. A run that resumes writes another file in its directory.

    Raises:
        ValueError: if the package tensorboard is not installed.
    """

    def __init__(self) -> None:
        require("tensorboard", type(self), "tensorboard")

    def of(self, run: RunLogger) -> Logger:
        """The logger of Lightning's, in the directory of `run`."""
        place = _found(run) or _folder(run) / _named(run)
        return _EventFiles(place.parent, name="", version=place.name, default_hp_metric=False)

    def has(self, run: RunLogger) -> bool:
        """Whether the directory of `run` is there."""
        return _found(run) is not None


class _EventFiles(TensorBoardLogger):
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        rows = [f"| {name} | {text} |" for name, text in parameter_texts(_mapping(params)).items()]
        self.experiment.add_text("parameters", "\n".join(["| parameter | value |", "|---|---|", *rows]))
        super().log_hyperparams(params, *args, **kwargs)


def _mapping(params: Any) -> Mapping[str, Any]:
    return params if isinstance(params, Mapping) else vars(params)


def _folder(run: RunLogger) -> Path:
    return Path(run.save_dir) / _FOLDER


def _found(run: RunLogger) -> Path | None:
    # The name is of the run's first process: a later one may have another.
    ending = f"-{run.run_id[:_ID]}"
    folder = _folder(run)
    return next((place for place in folder.iterdir() if place.name.endswith(ending)), None) if folder.is_dir() else None


def _named(run: RunLogger) -> str:
    name = run.run_name.replace("/", "_").encode()[:_NAME].decode(errors="ignore")
    return f"{name}-{run.run_id[:_ID]}"
