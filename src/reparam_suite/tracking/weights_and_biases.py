"""Runs in Weights & Biases: on this disk, from where they may be sent later, or sent as they train."""

import os
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from lightning.pytorch.loggers import Logger

from reparam_suite.tracking.loggers import LoggerOfRun, require
from reparam_suite.tracking.run_logger import RunLogger

_FOLDER = "wandb"
_STEP = "trainer/global_step"  # as Lightning calls the axis of its curves
_LONGEST_PROJECT = 128


@final
class WeightsAndBiases(LoggerOfRun):
    """A run of Weights & Biases in ROOT/wandb, under the id that it has in MLflow: every number, and the parameters.

    Offline nothing leaves this machine and nothing is printed; `wandb sync mlruns/wandb/offline-run-*` sends it later.
    A run that resumes has a directory for each of its processes, with the same id.

    Args:
        project: that gets the run; by default one with the name of the experiment.
        offline: whether the run stays on this disk.

    Raises:
        ValueError: if the package wandb is not installed.
    """

    def __init__(self, *, project: str | None = None, offline: bool = True) -> None:
        require("wandb", type(self), "wandb")
        self.project = project
        self.offline = offline

    def of(self, run: RunLogger) -> Logger:
        """The logger of `run`."""
        project = self.project or re.sub(r"[/\\#?%:]", "-", run.name)[:_LONGEST_PROJECT]
        return _WandbLogger(run, project=project, offline=self.offline)

    def has(self, run: RunLogger) -> bool:
        """Whether there is a directory of `run`."""
        return any((Path(run.save_dir) / _FOLDER).glob(f"*-{run.run_id}"))


class _WandbLogger(Logger):
    # Lightning's own sets WANDB_MODE for good, takes over whatever run is open, and prints.
    def __init__(self, run: RunLogger, *, project: str, offline: bool) -> None:
        import wandb

        quiet = {"silent": True, "console": "off"} if offline else {"quiet": True}
        settings = wandb.Settings(
            **quiet,
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        with _without_reports(offline):
            self.experiment = wandb.init(
                project=project,
                name=run.run_name,
                id=run.run_id,
                dir=run.save_dir,
                mode="offline" if offline else "online",
                resume=None if offline else "allow",
                reinit="create_new",
                settings=settings,
            )
        self.experiment.define_metric(_STEP)
        self.experiment.define_metric("*", step_metric=_STEP, step_sync=True)
        self._project, self._id = project, run.run_id

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str:
        """The id of the run."""
        return self._id

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Puts the parameters into the configuration of the run."""
        values = vars(params) if isinstance(params, Namespace) else dict(params)
        self.experiment.config.update(values, allow_val_change=True)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs numbers at a step."""
        self.experiment.log({**metrics, _STEP: step})

    def finalize(self, status: str) -> None:
        """Ends the run."""
        self.experiment.finish(exit_code=int(status != "success"))


@contextmanager
def _without_reports(offline: bool) -> Iterator[None]:
    # Its process reports its own errors to the makers, offline too, unless this variable says otherwise as it starts.
    name = "WANDB_ERROR_REPORTING"
    before = os.environ.get(name)
    if offline:
        os.environ[name] = "false"
    try:
        yield
    finally:
        if offline and before is None:
            del os.environ[name]
        elif offline:
            os.environ[name] = before or ""
