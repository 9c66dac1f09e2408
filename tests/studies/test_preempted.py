"""A study and a sweep in a job that is preempted: the job runs again, and the result is that of one never stopped."""

import os
import signal
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from tests.studies.halting import Gate
from tests.studies.launched import Launched, check_complete
from tests.studies.small import study_file
from tests.test_preempted import scontrol

__all__ = ["scontrol"]

pytestmark = pytest.mark.slow

RATES = [1e-3, 1e-2]
FILES = {
    "study": {
        "space": {"model.learning_rate": {"categorical": RATES}},
        "sampler": {"name": "BruteForceSampler", "options": {"seed": 0}},
        "trials": 2,
    },
    "sweep": {"grid": {"model.learning_rate": RATES}, "options": {"record.test_data": 0}},
}


def preempted(command: str, directory: Path, scontrol: Path) -> Path:
    """The root of a study or a sweep whose job was preempted at every run, and then once more."""
    directory.mkdir()
    gate, root = Gate(directory / "gate"), directory / "mlruns"
    file = file_of(command, directory, gate)
    job = {"SLURM_JOB_ID": "7", "PATH": f"{scontrol.parent}:{os.environ['PATH']}"}
    for _ in range(3):
        with Launched(file, root, "--resume", "auto", command=command, **job) as launched:
            launched.until_wait(gate, 1)
            os.kill(launched.pid, signal.SIGUSR1)
            code, _, err = launched.ended()
        assert code == 128 + signal.SIGUSR1, err
        assert err.splitlines()[-1] == f"reparam_suite.{command}: job 7 is requeued"
    assert scontrol.read_text() == 3 * "requeue 7\n"
    gate.open()
    with Launched(file, root, "--resume", "auto", command=command, **job) as launched:
        code, _, err = launched.ended()
    assert code == 0, err
    return root


def never_stopped(command: str, directory: Path) -> Path:
    directory.mkdir()
    gate, root = Gate(directory / "gate"), directory / "mlruns"
    gate.open()
    with Launched(file_of(command, directory, gate), root, command=command) as launched:
        code, _, err = launched.ended()
    assert code == 0, err
    return root


def file_of(command: str, directory: Path, gate: Gate) -> str:
    if command == "study":
        return study_file(directory, callbacks=gate.callbacks, **FILES["study"])
    file = Path(study_file(directory, callbacks=gate.callbacks))
    content = {"name": "small", "base": "base.yaml", "budget": {"steps": 6}, **FILES["sweep"]}
    file.write_text(yaml.safe_dump(content))
    return str(file)


def curves(root: Path, run_id: str) -> dict[str, list[tuple[int, float]]]:
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    names = [name for name in client.get_run(run_id).data.metrics if name.split("/")[0] in ("train", "val", "test")]
    return {name: [(point.step, point.value) for point in client.get_metric_history(run_id, name)] for name in names}


def trainings(root: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return [run for run in client.search_runs(experiments) if run.data.tags["kind"] == "training"]


def finished(root: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """The curves of the finished runs, by learning rate."""
    found = [run for run in trainings(root) if run.info.status == "FINISHED"]
    by_rate = {run.data.params["learning_rate"]: curves(root, run.info.run_id) for run in found}
    assert len(by_rate) == len(found) == 2
    return by_rate


def test_a_study_has_its_trials_once_each_bitwise_as_without_a_stop(tmp_path, scontrol):
    root = preempted("study", tmp_path / "preempted", scontrol)
    check_complete(root, 2, 3)
    assert sorted(run.info.status for run in trainings(root)) == ["FINISHED"] * 2 + ["KILLED"] * 3
    assert finished(root) == finished(never_stopped("study", tmp_path / "whole"))


def test_a_sweep_resumes_its_runs_bitwise_and_trains_none_twice(tmp_path, scontrol):
    root = preempted("sweep", tmp_path / "preempted", scontrol)
    assert [run.info.status for run in trainings(root)] == ["FINISHED"] * 2
    assert finished(root) == finished(never_stopped("sweep", tmp_path / "whole"))
