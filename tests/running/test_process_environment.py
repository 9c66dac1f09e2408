"""The processes of a run: those that torchrun or SLURM has started for it, or those that it starts."""

import pytest
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from rich.console import Console
from tests.running.models import gaussian
from tests.runtime.test_launchers import LEFTOVERS, SLURM, TORCHRUN

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.running import Surroundings
from reparam_suite.running.assembly import make_trainer
from reparam_suite.running.process_environment import OwnProcesses
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.launchers import FIRST_PROCESS
from reparam_suite.training import StopSignals

MACHINE = {"NODE_RANK": "1", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1"}
ONE_TASK = SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
TWO_TASKS = SLURM | {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}
TORCHRUN_OF_TWO = TORCHRUN | {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0"}
STARTED = {FIRST_PROCESS: "1", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}


@pytest.fixture
def trainer_of(monkeypatch):
    def made(variables, **options):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        run = Run(gaussian, Digits(), trainer={"accelerator": "cpu", "strategy": "ddp", **options})
        return make_trainer(run, Surroundings(Console(quiet=True), StopSignals(), relaunch=["true"]))

    return made


@pytest.mark.parametrize("leftovers", [{**MACHINE}, *(MACHINE | each for each in LEFTOVERS[:-1]), MACHINE | ONE_TASK])
def test_leftovers_of_a_launcher_do_not_count_among_the_processes_of_a_run(trainer_of, leftovers):
    trainer = trainer_of(leftovers, devices=2)
    environment = trainer.strategy.cluster_environment
    assert not environment.creates_processes_externally
    assert (trainer.global_rank, trainer.local_rank, trainer.node_rank, trainer.world_size) == (0, 0, 0, 2)
    assert environment.main_address == "127.0.0.1"
    assert environment.main_port > 1


@pytest.mark.parametrize(
    ("variables", "kind"),
    [(TORCHRUN_OF_TWO, TorchElasticEnvironment), (TWO_TASKS, SLURMEnvironment), (STARTED, OwnProcesses)],
)
@pytest.mark.parametrize("devices", [2, "2"])
def test_processes_that_were_started_for_a_run_are_its_own(trainer_of, variables, kind, devices):
    trainer = trainer_of(variables, devices=devices)
    environment = trainer.strategy.cluster_environment
    assert isinstance(environment, kind)
    assert environment.creates_processes_externally
    assert (trainer.global_rank, trainer.world_size) == (1, 2)


def test_the_number_of_a_machine_counts_where_there_are_several(trainer_of):
    trainer = trainer_of(MACHINE, devices=2, num_nodes=2)
    assert (trainer.global_rank, trainer.world_size) == (2, 4)
    assert trainer.strategy.cluster_environment.main_address == "192.0.2.1"


@pytest.mark.parametrize("task", ["0", "3"])
def test_a_step_of_another_number_of_tasks_is_refused_with_both_numbers(trainer_of, task):
    with pytest.raises(UsageError) as refused:
        trainer_of(SLURM | {"SLURM_PROCID": task, "SLURM_LOCALID": task}, devices=2)
    assert str(refused.value) == (
        "trainer.devices: the SLURM job step has 8 tasks, expected that many devices in all, got 2 (devices 2 on each "
        "of 1 nodes); a step of one task (srun --ntasks=1) starts the processes itself"
    )
