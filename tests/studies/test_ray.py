"""Workers as tasks of a real Ray, started here."""

import os
import signal
import sys

import pytest
import ray
from tests.launching import as_it_was
from tests.studies.launched import SPACE, Started, check_complete, runs, until
from tests.studies.small import refused, study_file

import reparam_suite.workers.on_ray  # noqa: F401 - one test takes it away


@pytest.fixture(scope="module")
def cluster():
    """Ray with two CPUs and, in name, a GPU; commands that are started here join it."""
    with as_it_was(), pytest.MonkeyPatch.context() as patched:
        started = ray.init(
            address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
        )
        patched.setenv("RAY_ADDRESS", started.address_info["address"])
        yield
        ray.shutdown()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_its_trial_begun_again(cluster, tmp_path):
    file = study_file(tmp_path, space=SPACE, trials=2, budget={"steps": 1200})
    shared = ("--engine", "ray", "--workers", "2", "--gpus-per-worker", "0.5")
    with Started(file, tmp_path / "mlruns", *shared) as launched:
        (victim, *_) = until(launched.running, launched)
        assert victim.data.tags["process.pid"] != str(launched.pid)
        os.kill(int(victim.data.tags["process.pid"]), signal.SIGKILL)
        code, out, err = launched.ended()
    assert code == 0, err
    assert "died: The worker died unexpectedly" in out
    check_complete(tmp_path / "mlruns", 2, 1)


@pytest.mark.slow
def test_ctrl_c_has_the_tasks_finish_their_step_and_says_how_to_go_on(cluster, tmp_path):
    file = study_file(tmp_path, space=SPACE, trials=2, budget={"steps": 100_000})
    # Each takes both CPUs: the second one never gets a place.
    alone = ("--engine", "ray", "--workers", "2", "--cpus-per-worker", "2")
    with Started(file, tmp_path / "mlruns", *alone) as launched:
        until(launched.running, launched)
        os.kill(launched.pid, signal.SIGINT)
        code, _, err = launched.ended()
    assert code == 130, err
    assert "0 of 2 trials are finished, and what was interrupted waits. To resume: python -m reparam_suite.study" in err
    assert "Traceback" not in err
    assert [run.info.status for run in runs(tmp_path / "mlruns")] == ["KILLED"]


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
