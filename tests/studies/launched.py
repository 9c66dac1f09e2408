"""The command in a process of its own, and what it must leave behind whatever happens to it."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from unittest import mock

import optuna
import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from tests.forked import serve_workers
from tests.launching import undrawn
from tests.lives import Life
from tests.studies.halting import Gate

Found = TypeVar("Found")

SPACE = {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}
PATIENCE = 800.0  # seconds, on a machine that has much else to do


@contextmanager
def in_a_study() -> Iterator[None]:
    """Inside, neither runs nor the study draw, and the workers of this process are forks of it."""
    from reparam_suite.studies import figures

    serve_workers()
    with (
        undrawn(),
        mock.patch.multiple(figures, drawn=lambda *_: (), write_page=lambda study, metrics, file: file.touch()),
    ):
        yield


class Launched:
    """The command, or that of a sweep, in a process of its own, forked from one that has imported everything."""

    def __init__(self, file: str, root: Path, *options: str, command: str = "study", **variables: str) -> None:
        self.root = root
        args = ["--config", file, "--tracking.root", str(root), *options]
        args += ["--heartbeat", "1"] if command == "study" else []
        place = Path(tempfile.mkdtemp(dir=root.parent))
        module = f"reparam_suite.{command}"
        self._life = Life.begin(args, place, environment=variables, command=module, within=in_a_study)

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

    @property
    def out(self) -> str:
        """What it has printed up to now."""
        return self._life.out.read_text()

    def lives(self) -> bool:
        """Whether the command has not ended."""
        return self._life.process.is_alive()

    def kill_all(self) -> None:
        """Kills the command, and then its workers, which it would replace."""
        for process in [self._life.process, *psutil.Process(self.pid).children(recursive=True)]:
            process.kill()
        self._life.process.join()

    def ended(self) -> tuple[int, str, str]:
        """Its exit code, output and errors, when it has ended."""
        return self._life.end(PATIENCE), self.out, self._life.told()

    def until(self, happened: Callable[[], Found]) -> Found:
        """What is found when something has happened, while the command lives."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.lives(), self.ended()
            if found := happened():
                return found
            time.sleep(0.05)
        raise AssertionError("it did not happen")

    def until_wait(self, gate: Gate, number: int) -> set[int]:
        """The processes that train its trials, when so many of them wait."""
        return self.until(lambda: waiting if len(waiting := gate.waiting()) == number else None)


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
