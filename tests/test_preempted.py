"""A job that is preempted comes back by itself: the same command, started again, resumes its own run."""

import os
import signal
from pathlib import Path

import pytest
from tests.launching import fit
from tests.lives import Death, Life
from tests.test_resume import GAUSSIAN, Runs, assert_same

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.running.keyed import RunKey, job_key
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import RecordSettings

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
    preempted = Death("reparam_suite.models", "GaussianVAE.training_step", 3, signum=signal.SIGUSR1)
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


@pytest.fixture(scope="module")
def keyed(tmp_path_factory) -> TrackingSettings:
    """A store with two runs of one key and seed, and one of another key."""
    tracking = TrackingSettings(root=tmp_path_factory.mktemp("keyed") / "mlruns")
    Run(
        lambda: GaussianVAE(event_shape=(64,), latent_size=2, hidden_sizes=(4,)),
        Digits(),
        max_steps=1,
        tags={"run_key": "once"},
        record=RecordSettings(test_data=0),
        tracking=tracking,
    ).fit()
    for _ in range(2):
        tags = {"run_key": "twice", "seed": "0"}
        Store.open(tracking).start_run(name="twice", parameters={}, tags=tags).close("FINISHED")
    return tracking


def refused(*args: str, root: Path) -> str:
    ended = fit("--resume", "auto", *args, root=root)
    assert ended.code == 2, ended.err
    assert ended.err.count("\n") == 1
    return ended.err.removeprefix("reparam_suite.fit: ").strip()


def test_without_a_key_and_outside_of_a_job_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    told = refused(root=tmp_path / "mlruns")
    assert told == "--resume: expected auto with --run_key KEY, or within a SLURM job, got auto alone"
    assert not (tmp_path / "mlruns").exists()


def test_two_runs_of_a_key_are_listed(keyed):
    ids = [run.run_id for run in Store.open(keyed).runs("tags.run_key = 'twice'")]
    told = refused("--run_key", "twice", root=keyed.root)
    assert told == (
        f"--run_key: expected one run of key twice and seed 0, got {ids[0]} (FINISHED), {ids[1]} (FINISHED); "
        "resume one with --resume RUN_ID, or delete the others"
    )


def test_a_key_of_another_configuration_is_refused_with_what_differs(keyed):
    (run,) = Store.open(keyed).runs("tags.run_key = 'once'")
    told = refused("--run_key", "once", "--model.latent_size", "3", "--model.hidden_sizes", "[4]", root=keyed.root)
    assert told.startswith(f"run {run.run_id} had other options: ")
    assert "--model.init_args.latent_size was 2, is 3" in told


def test_a_seed_of_its_own_is_a_run_of_its_own(keyed):
    assert RunKey("once").resumption(1, keyed, allow_changes=False) is None
    assert RunKey("once").resumption(0, keyed, allow_changes=False) is not None


def test_a_run_elsewhere_is_at_its_end_if_this_process_is_its_job(keyed):
    store = Store.open(keyed)
    run = store.start_run(name="lost", parameters={}, tags={"run_key": "slurm-9", "seed": "0"})
    run.close("FINISHED")
    client = store._client
    client.set_tag(run.run_id, "process.host", "another-host")
    client.update_run(run.run_id, status="RUNNING")
    store.end_gone(run.run_id)
    assert client.get_run(run.run_id).info.status == "KILLED"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"SLURM_JOB_ID": "5"}, "slurm-5"),
        ({"SLURM_JOB_ID": "6", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}, "slurm-5_2"),
        ({"SLURM_JOB_ID": "5", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"}, "slurm-5.3"),
    ],
)
def test_a_job_has_a_key(variables, name, monkeypatch):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert job_key({"devices": 1}) == RunKey(name, of_job=True)


def test_tasks_that_train_together_have_one_key(monkeypatch):
    for variable, value in {"SLURM_JOB_ID": "5", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"}.items():
        monkeypatch.setenv(variable, value)
    assert job_key({"devices": 4}) == RunKey("slurm-5", of_job=True)
