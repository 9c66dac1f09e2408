"""What the variables of launchers say of this process, and what are leftovers of another."""

import os
import subprocess
import sys
from functools import partial

import pytest
from tests.launching import compare, fit, study, sweep, sync, ui
from tests.running.models import gaussian
from tests.running.resuming import Brief
from tests.running.resuming import fit as trained

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.runtime.launchers import FIRST_PROCESS, is_further_process, num_processes, torchrun_world
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import RecordSettings

TORCHRUN = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4", "RANK": "3", "MASTER_ADDR": "127.0.0.1"}
SLURM = {
    f"SLURM_{name}": value
    for name, value in {
        "JOB_ID": "77",
        "JOB_NAME": "sweep",
        "NODELIST": "localhost",
        "NODEID": "0",
        "NNODES": "1",
        "NTASKS": "8",
        "PROCID": "3",
        "LOCALID": "3",
    }.items()
}
LEFTOVERS = [
    {"RANK": "3"},
    {"LOCAL_RANK": "3"},
    {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "3"},
    {"SLURM_PROCID": "3"},
    {"JSM_NAMESPACE_RANK": "3", "OMPI_COMM_WORLD_RANK": "3"},
    SLURM,
]


@pytest.fixture
def variables(monkeypatch):
    def set_all(values: dict[str, str]) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("values", "trainer", "further"),
    [
        *((values, {}, False) for values in LEFTOVERS),
        (TORCHRUN, {}, True),
        (TORCHRUN | {"RANK": "0"}, {}, False),
        ({FIRST_PROCESS: "1", "LOCAL_RANK": "1"}, {}, True),
        (SLURM, {"devices": 8}, True),
        (SLURM, {"devices": 4, "num_nodes": 2}, True),
        (SLURM, {"devices": 1}, False),
        (SLURM | {"SLURM_PROCID": "0"}, {"devices": 8}, False),
        (SLURM | {"SLURM_PROCID": "many"}, {"devices": 8}, False),
    ],
)
def test_a_process_is_further_where_a_launcher_started_it_for_one_command(variables, values, trainer, further):
    variables(values)
    assert is_further_process(trainer) == further


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({}, 1),
        ({"devices": "2", "num_nodes": 3}, 6),
        ({"devices": [0, 3]}, 2),
        ({"devices": "auto"}, None),
        ({"devices": -1}, None),
    ],
)
def test_the_number_of_processes_is_devices_times_nodes(trainer, expected):
    assert num_processes(trainer) == expected


def test_torchrun_has_set_all_of_its_variables(variables):
    variables({name: value for name, value in TORCHRUN.items() if name != "TORCHELASTIC_RUN_ID"})
    assert torchrun_world() is None
    variables(TORCHRUN)
    assert torchrun_world() == 4


@pytest.mark.parametrize("values", LEFTOVERS, ids=lambda values: "+".join(values)[:40])
def test_every_command_says_what_is_wrong_whatever_is_in_the_environment(variables, values, tmp_path):
    variables(values)
    comparisons = [partial(compare, "gradients"), partial(compare, "runs")]
    for command in (fit, study, sweep, sync, ui, *comparisons):
        ended = command("--bogus", "1", root=tmp_path / "mlruns")
        assert ended.code == 2
        assert ended.err.count("\n") == 1


def test_a_new_process_says_it_too(tmp_path):
    """Lightning guesses the rank when it is imported."""
    ended = subprocess.run(
        [sys.executable, "-m", "reparam_suite.fit", "--bogus", "1"],
        cwd=tmp_path,
        env={**os.environ, "RANK": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("reparam_suite.fit: unknown option --bogus")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("task", ["0", "3"])
def test_a_task_of_slurm_with_one_device_is_a_run_of_its_own(variables, tmp_path, task):
    variables(SLURM | {"SLURM_PROCID": task, "SLURM_LOCALID": task})
    record = RecordSettings(gradients_every=1_000, test_data=0)
    settings = TrackingSettings(root=tmp_path / "mlruns")
    result = trained(Run(gaussian, Digits(), max_steps=1, record=record, tracking=settings), Brief())
    assert result.num_steps == 1


def test_a_world_of_another_size_is_refused_with_both_numbers(variables, tmp_path):
    variables(TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0"})
    ended = fit(root=tmp_path / "mlruns")
    assert ended.code == 2
    assert ended.err == (
        "reparam_suite.fit: --trainer.devices: torchrun has started 4 processes, expected that many devices in all, "
        "got 1 (devices 1 on each of 1 nodes)\n"
    )
    assert not (tmp_path / "mlruns").exists()
