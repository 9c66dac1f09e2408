"""`python -m reparam_suite.fit` inside the test's own process."""

import contextlib
import io
import os
import random
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from reparam_suite import fit as command
from reparam_suite.running import finishing
from reparam_suite.training import STOP_SIGNALS


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the runs that it finished."""

    code: int
    out: str
    err: str
    root: Path

    @property
    def run_ids(self) -> list[str]:
        found = re.search(r"^run +(.+)$", self.out, re.MULTILINE)
        return found[1].split(", ") if found else []

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.root}/mlflow.db")

    @property
    def run(self) -> Run:
        (run_id,) = self.run_ids
        return self.client.get_run(run_id)

    def every_run(self, experiment_name: str = "reparam_suite") -> list[Run]:
        """All runs of an experiment, the newest first."""
        experiment = self.client.get_experiment_by_name(experiment_name)  # none before the first run begins
        return [] if experiment is None else list(self.client.search_runs([experiment.experiment_id]))

    def curve(self, name: str, run_id: str | None = None) -> list[tuple[int, float]]:
        """Steps and values of a metric."""
        points = self.client.get_metric_history(run_id or self.run.info.run_id, name)
        return sorted((point.step, point.value) for point in points)

    def artifacts(self, run_id: str | None = None) -> Path:
        return self.root / "artifacts" / (run_id or self.run.info.run_id) / "artifacts"


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """Environment, generators and signal handlers are those of before at the end: a command changes all of them."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the global one that is seeded
    handlers = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
    with mock.patch.dict(os.environ), torch.random.fork_rng():
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread():
                for signum, handler in handlers.items():
                    signal.signal(signum, handler)
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """Inside, runs draw no figures and export no model, which takes longer than the training of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finishing, "figures_of", lambda *_: ())
        patch.setattr(finishing, "export", lambda *_: None)
        yield


@contextlib.contextmanager
def ended_sooner() -> Iterator[None]:
    """Inside, the bound that a run ends with is of 200 samples where it would be of 5,000, which take seconds."""
    bound = finishing.bound_of_many_samples

    def of_fewer(model, x, num_samples, **options):
        return bound(model, x, min(num_samples, 200), **options)

    with mock.patch.object(finishing, "bound_of_many_samples", of_fewer):
        yield


@contextlib.contextmanager
def mlflow_at(uri: str) -> Iterator[None]:
    """Inside, MLflow's own functions look into the store at `uri`, and load no pickle."""
    with as_it_was():
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
        mlflow.set_tracking_uri(uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(None)


def fit(*args: str, root: Path) -> Ended:
    """Runs the command with what it records under `root`."""
    return _ended(command.main, ["--tracking.root", str(root), *args], root)


def compare(subcommand: str, *args: str, root: Path) -> Ended:
    """Runs a comparison with what it records, and what it is about, under `root`."""
    from reparam_suite import compare as compare_command

    return _ended(compare_command.main, [subcommand, "--tracking.root", str(root), *args], root)


def study(*args: str, root: Path) -> Ended:
    """Runs a study with what it records under `root`."""
    from reparam_suite import study as study_command

    return _ended(study_command.main, ["--tracking.root", str(root), *args], root)


def sync(*args: str, root: Path) -> Ended:
    """Delivers what runs under `root` have left."""
    from reparam_suite import sync as sync_command

    return _ended(sync_command.main, ["--tracking.root", str(root), *args], root)


def sweep(*args: str, root: Path) -> Ended:
    """Runs a sweep with what it records under `root`."""
    from reparam_suite import sweep as sweep_command

    return _ended(sweep_command.main, [*args, "--tracking.root", str(root)], root)


def ui(*args: str, root: Path) -> Ended:
    """Serves MLflow's page of what is recorded under `root`."""
    from reparam_suite import ui as ui_command

    return _ended(ui_command.main, ["--tracking.root", str(root), *args], root)


def _ended(main: Callable[[list[str]], int], args: list[str], root: Path) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with as_it_was(), ended_sooner(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    return Ended(code, out.getvalue(), err.getvalue(), root)
