"""Runs that are found again by a key."""

import pytest

from reparam_suite.running.keyed import RunKey, job_key
from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking import Store, TrackingSettings


@pytest.fixture
def tracking(tmp_path) -> TrackingSettings:
    return TrackingSettings(root=tmp_path / "mlruns")


def begun(tracking: TrackingSettings, key: str) -> str:
    run = Store.open(tracking).start_run(name=key, parameters={}, tags={"run_key": key, "seed": "0"})
    run.close("FINISHED")
    return run.run_id


def test_without_a_store_there_is_no_run(tracking):
    assert RunKey("k").resumption(0, tracking, allow_changes=False) is None
    assert not tracking.root.exists()


def test_a_run_has_its_key_and_its_seed(tracking):
    begun(tracking, "k")
    assert RunKey("k").resumption(1, tracking, allow_changes=False) is None
    assert RunKey("other").resumption(0, tracking, allow_changes=False) is None


def test_two_runs_of_a_key_are_listed(tracking):
    ids = [begun(tracking, "k") for _ in range(2)]
    with pytest.raises(UsageError) as error:
        RunKey("k").resumption(0, tracking, allow_changes=False)
    assert str(error.value) == (
        f"run_key: expected one run of key k and seed 0, got {ids[0]} (FINISHED), {ids[1]} (FINISHED); "
        "resume one with --resume RUN_ID, or delete the others"
    )


@pytest.mark.parametrize("name", ["", "  ", "it's"])
def test_a_key_that_cannot_be_looked_for_is_refused(name):
    with pytest.raises(UsageError, match="run_key: expected a name without single quotes"):
        RunKey(name)


def test_a_run_elsewhere_is_at_its_end_if_this_process_is_its_job(tracking):
    run_id, store = begun(tracking, "slurm-9"), Store.open(tracking)
    store._client.set_tag(run_id, "process.host", "another-host")
    store._client.update_run(run_id, status="RUNNING")
    store.end_gone(run_id)
    assert store.run(run_id).info.status == "KILLED"


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
