"""The command in a process of its own, and what it must leave behind whatever happens to it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from tests.lives import Life

SPACE = {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}
PATIENCE = 800.0  # seconds, on a machine that has much else to do


class Launched:
    """The command in a process of its own, forked from one that has imported everything."""

    def __init__(self, file: str, root: Path, *options: str) -> None:
        self.root = root
        self._place = Path(tempfile.mkdtemp(dir=root.parent))
        args = ["--config", file, "--tracking.root", str(root), "--heartbeat", "1", *options]
        self._life = Life.begin(args, self._place, command="reparam_suite.study")

    def __enter__(self) -> "Launched":
        return self

    def __exit__(self, *_: object) -> None:
        if self.lives():
            self.kill_all()

    @property
    def pid(self) -> int:
        """Of the command."""
        assert self._life.process.pid is not None
        return self._life.process.pid

    def lives(self) -> bool:
        """Whether the command has not ended."""
        return self._life.process.is_alive()

    def kill_all(self) -> None:
        """Kills the command and its workers."""
        for process in [*psutil.Process(self.pid).children(recursive=True), self._life.process]:
            process.kill()
        self._life.process.join()

    def ended(self) -> tuple[int, str, str]:
        """Its exit code, output and errors, when it has ended."""
        return self._life.end(PATIENCE), self._life.out.read_text(), self._life.told()

    def running(self) -> list[Run]:
        """The trials that train now, as MLflow has them: past their first record."""
        return [run for run in runs(self.root) if run.info.status == "RUNNING" and "train/elbo" in run.data.metrics]


class Started(Launched):
    """The command as `python -m` starts it."""

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

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def lives(self) -> bool:
        return self.process.poll() is None

    def kill_all(self) -> None:
        for process in [*psutil.Process(self.pid).children(recursive=True), self.process]:
            process.kill()
        self.process.wait()

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def until(found: Callable[[], list[Run]], launched: Launched) -> list[Run]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert launched.lives(), launched.ended()
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
