"""`--resume auto`: which run it means, and what SLURM is asked."""

import os
import signal
from pathlib import Path

import pytest
from tests.launching import fit

from reparam_suite import Run
from reparam_suite.commands.automatic import is_automatic, requeued
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import RecordSettings

JOB = {"SLURM_JOB_ID": "5"}
ASKED = ["--resume", "auto"]


def refused(*args: str, root: Path) -> str:
    ended = fit("--resume", "auto", *args, root=root)
    assert ended.code == 2, ended.err
    assert ended.err.count("\n") == 1
    return ended.err.removeprefix("reparam_suite.fit: ").strip()


def test_it_is_what_is_said_last():
    assert is_automatic(["--resume", "ID", "--resume=auto"])
    assert not is_automatic(["--resume", "auto", "--resume", "ID"])
    assert not is_automatic(["--name", "auto"])


def test_without_a_key_and_outside_of_a_job_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    told = refused(root=tmp_path / "mlruns")
    assert told == "--resume: expected auto with --run_key KEY, or within a SLURM job, got auto alone"
    assert not (tmp_path / "mlruns").exists()


def test_processes_that_torchrun_starts_are_told_what_to_resume(tmp_path, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    told = refused("--run_key", "k", root=tmp_path / "mlruns")
    assert told == "--resume: expected a run's id where torchrun or SLURM starts the processes of a run, got auto"


@pytest.mark.parametrize("task", ["0", "1"])
def test_tasks_of_slurm_that_train_one_run_are_told_as_well(tmp_path, monkeypatch, task):
    job = {"JOB_ID": "5", "NTASKS": "2", "NODEID": "0", "PROCID": task, "LOCALID": task}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    told = refused("--trainer.devices", "2", "--trainer.accelerator", "cpu", root=tmp_path / "mlruns")
    assert told == "--resume: expected a run's id where torchrun or SLURM starts the processes of a run, got auto"
    assert not (tmp_path / "mlruns").exists()


def test_a_key_of_another_configuration_is_refused_with_what_differs(tmp_path):
    result = Run(
        lambda: GaussianVAE(event_shape=(64,), latent_size=2, hidden_sizes=(4,)),
        Digits(),
        max_steps=1,
        tags={"run_key": "k"},
        record=RecordSettings(test_data=0),
        tracking=TrackingSettings(root=tmp_path / "mlruns"),
    ).fit()
    told = refused(
        "--run_key", "k", "--model.latent_size", "3", "--model.hidden_sizes", "[4]", root=tmp_path / "mlruns"
    )
    assert told.startswith(f"run {result.run_id} had other options: ")
    assert "--model.init_args.latent_size was 2, is 3" in told


def program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_job_is_queued_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    program(tmp_path, "scontrol", f'echo "$@" > {tmp_path}/asked', monkeypatch)
    assert requeued(ASKED, 128 + signal.SIGINT) is None
    assert not (tmp_path / "asked").exists()
    assert requeued(ASKED, 128 + signal.SIGTERM) == "job 5 is requeued"
    assert (tmp_path / "asked").read_text() == "requeue 5\n"


def test_a_job_that_cannot_be_queued_again_is_told_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    program(tmp_path, "scontrol", "echo Access denied >&2; exit 1", monkeypatch)
    told = "job 5 could not be requeued: Access denied; the same command resumes"
    assert requeued(ASKED, 128 + signal.SIGUSR1) == told


def test_outside_of_a_job_nothing_is_asked(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert requeued(ASKED, 128 + signal.SIGTERM) is None
