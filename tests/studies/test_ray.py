"""Workers as tasks of a real Ray, started here."""

import os
import signal
import sys
from pathlib import Path

import pytest
import ray
from tests.launching import as_it_was
from tests.studies.halting import Gate
from tests.studies.launched import SPACE, Launched, check_complete, runs
from tests.studies.small import refused, study_file

import reparam_suite.workers.on_ray  # noqa: F401 - one test takes it away


@pytest.fixture(scope="module")
def cluster():
    """Ray with two CPUs and, in name, a GPU; commands that are started here join it."""
    root = str(Path(__file__).parents[2])  # where Ray's processes find the tests' modules
    with as_it_was(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
        started = ray.init(
            address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        patched.setenv("RAY_ADDRESS", started.address_info["address"])
        yield
        ray.shutdown()


@pytest.mark.slow
def test_what_is_left_of_a_killed_worker_and_of_ctrl_c_is_begun_again(cluster, tmp_path):
    root, gate = tmp_path / "mlruns", Gate(tmp_path / "gate")
    file = study_file(tmp_path, space=SPACE, trials=2, callbacks=gate.callbacks)
    # Each takes both CPUs: a worker gets its place when the one before has ended, and one of them never.
    alone = ("--engine", "ray", "--cpus-per-worker", "2", "--gpus-per-worker", "0.5")
    with Launched(file, root, *alone, "--workers", "2") as launched:
        (victim,) = launched.until_wait(gate, 1)
        assert victim != launched.pid
        gate.kill(victim)
        launched.until_wait(gate, 1)
        os.kill(launched.pid, signal.SIGINT)
        code, out, err = launched.ended()
    assert code == 130, err
    assert "died: The worker died unexpectedly" in out
    assert "0 of 2 trials are finished, and what was interrupted waits. To resume: python -m reparam_suite.study" in err
    assert "Traceback" not in err
    assert sorted(run.info.status for run in runs(root)) == ["KILLED", "RUNNING"]
    gate.open()
    with Launched(file, root, *alone) as launched:
        code, _, err = launched.ended()
    assert code == 0, err
    check_complete(root, 2, 2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--engine", "slurm"], "--engine: expected local or ray, got slurm"),
        (["--gpus-per-worker", "0.25"], "--gpus-per-worker is for --engine ray, got --engine local"),
        (
            ["--engine", "ray", "--gpus-per-worker", "1.5"],
            "--gpus-per-worker: expected a part of one or a whole number, got 1.5",
        ),
        (
            ["--engine", "ray", "--cpus-per-worker", "-1"],
            "--cpus-per-worker: expected a part of one or a whole number, got -1",
        ),
    ],
)
def test_what_cannot_be_used_is_reported_in_one_line(tmp_path, args, message):
    assert message in refused(tmp_path, *args)


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "reparam_suite.workers.on_ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    message = "--engine ray: Ray is not installed; to have it: pip install 'reparam_suite[ray]'"
    assert message in refused(tmp_path, "--engine", "ray")


def test_a_cluster_that_does_not_answer_is_reported_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    message = "--engine ray: Ray at 127.0.0.1:1 cannot be used: Connection refused"
    assert message in refused(tmp_path, "--engine", "ray")
