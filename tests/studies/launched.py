"""The command as a process of its own, and what it must leave behind whatever happens to it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
from mlflow import MlflowClient
from mlflow.entities import Run

SPACE = {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}
PATIENCE = 300.0  # seconds, on a machine that has much else to do


class Launched:
    """The command as a process of its own."""

    def __init__(self, file: str, root: Path, *options: str) -> None:
        self.root = root
        command = [sys.executable, "-m", "reparam_suite.study", "--config", file, "--tracking.root", str(root)]
        self.process = subprocess.Popen(
            [*command, "--heartbeat", "1", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def __enter__(self) -> "Launched":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill_all()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def kill_all(self) -> None:
        started = psutil.Process(self.process.pid).children(recursive=True)
        for each in [self.process, *started]:
            each.kill()
        self.process.wait()

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def running(self) -> list[Run]:
        """The trials that train now, as MLflow has them: past their first record."""
        return [run for run in runs(self.root) if run.info.status == "RUNNING" and "train/elbo" in run.data.metrics]


def until(found: Callable[[], list[Run]], launched: Launched) -> list[Run]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert launched.process.poll() is None, launched.process.communicate()
        if there := found():
            return there
        time.sleep(0.2)
    raise AssertionError("it did not happen")


def runs(root: Path) -> list[Run]:
    if not (root / "mlflow.db").exists():
        return []
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("small")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    return [run for run in found if run.data.tags["study.run"] == "trial"]


def check_complete(root: Path, num_trials: int, num_begun_again: int) -> None:
    """Every place has a value, once; no run is left RUNNING."""
    trials = optuna.load_study(study_name="small", storage=f"sqlite:///{root}/optuna.db").trials
    again = [trial for trial in trials if "failed_trial" in trial.system_attrs]
    assert len(again) == num_begun_again
    assert len(trials) == num_trials + num_begun_again
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    places = {trial.system_attrs.get("failed_trial", trial.number) for trial in complete}
    assert places == set(range(num_trials))
    assert len(complete) == num_trials
    for trial in again:
        assert trial.params == trials[trial.system_attrs["failed_trial"]].params
    statuses = [run.info.status for run in runs(root)]
    assert statuses.count("FINISHED") == num_trials
    assert statuses.count("RUNNING") == 0
