"""A job that is preempted comes back by itself: the same command, started again, resumes its own run."""

import os
import signal
from pathlib import Path

import pytest
from tests.lives import Death, Life
from tests.test_resume import GAUSSIAN, Runs, assert_same

SCONTROL = """#!/bin/sh
echo "$@" >> {file}
"""


@pytest.fixture
def scontrol(tmp_path) -> Path:
    """The file to which a stand-in for scontrol writes its arguments; it is in a folder of its own."""
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(SCONTROL.format(file=tmp_path / "bin" / "asked"))
    program.chmod(0o755)
    return tmp_path / "bin" / "asked"


@pytest.mark.slow
def test_preempted_ten_times_it_is_the_run_that_was_never_stopped(tmp_path, scontrol):
    runs = Runs(tmp_path / "mlruns")
    args = ["--tracking.root", str(runs.root), *GAUSSIAN, "--trainer.max_steps", "33"]
    job = {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "80"}
    job["PATH"] = f"{scontrol.parent}:{os.environ['PATH']}"
    preempted = Death("reparam_suite.models", "GaussianVAE.training_step", 3, signals=(signal.SIGUSR1,))
    for _ in range(10):
        life = Life.begin([*args, "--resume", "auto"], tmp_path, preempted, job)
        assert life.end() == 128 + signal.SIGUSR1, life.told()
        assert life.told().splitlines()[-1] == "reparam_suite.fit: job 77_3 is requeued"
    assert scontrol.read_text() == 10 * "requeue 77_3\n"
    life = Life.begin([*args, "--resume", "auto"], tmp_path, None, job)
    assert life.end() == 0, life.told()
    (run_id,) = runs.ids()
    assert runs.client.get_run(run_id).data.tags["run_key"] == "slurm-77_3"
    life = Life.begin([*args, "--resume", "auto"], tmp_path, None, job)
    assert life.end() == 0, life.told()
    assert f"run {run_id} is FINISHED, all of its 33 steps are done" in life.out.read_text()
    assert runs.ids() == {run_id}
    assert_same(runs, run_id, runs.finish(*args))
