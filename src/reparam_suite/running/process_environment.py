"""Which processes train a run together: those that a launcher has started for it, or those that the run starts."""

from typing import final

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment, find_free_network_port
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Trainer
from typing_extensions import override

from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.launchers import slurm_tasks, started_by_first_process, torchrun_world


@final
class OwnProcesses(LightningEnvironment):
    """Processes that the first one of this machine starts.

    Unlike Lightning's own, no variable that a launcher has left is taken for one of this run: a process has
    the rank that the first process gives it, and a machine its number where there are several.
    """

    def __init__(self, *, num_nodes: int = 1) -> None:
        super().__init__()
        self._num_nodes = num_nodes

    @property
    @override
    def creates_processes_externally(self) -> bool:
        """Whether another process has started this one."""
        return started_by_first_process()

    @override
    def local_rank(self) -> int:
        """The number of this process on its machine."""
        return super().local_rank() if started_by_first_process() else 0

    @override
    def node_rank(self) -> int:
        """The number of this machine."""
        return super().node_rank() if self._num_nodes > 1 else 0

    @property
    @override
    def main_address(self) -> str:
        """The address of the first process."""
        return super().main_address if self._is_told() else "127.0.0.1"

    @property
    @override
    def main_port(self) -> int:
        """The port of the first process."""
        if self._main_port == -1 and not self._is_told():
            self._main_port = find_free_network_port()
        return super().main_port

    def _is_told(self) -> bool:
        return self._num_nodes > 1 or started_by_first_process()


def process_environment(trainer: Trainer, devices: object) -> ClusterEnvironment:
    """The processes of a run. One that trains alone is a run of its own, whatever has started it.

    Args:
        trainer: of the run, which knows how many processes there are to be.
        devices: as they were asked for.

    Raises:
        UsageError: if torchrun or SLURM has started another number of processes.
    """
    own = OwnProcesses(num_nodes=trainer.num_nodes)
    if started_by_first_process():
        return own
    wanted, world, tasks = trainer.num_devices * trainer.num_nodes, torchrun_world(), slurm_tasks()
    if world is not None and world != wanted:
        raise UsageError(_mismatch("torchrun has started", f"{world} processes", devices, wanted, trainer.num_nodes))
    if wanted == 1:
        return own
    if world is not None:
        return TorchElasticEnvironment()
    if tasks == wanted:
        return SLURMEnvironment(auto_requeue=False)  # `--resume auto` has the job run again
    if tasks is not None and tasks > 1:
        told = _mismatch("the SLURM job step has", f"{tasks} tasks", devices, wanted, trainer.num_nodes)
        raise UsageError(f"{told}; a step of one task (srun --ntasks=1) starts the processes itself")
    for launched in (LSFEnvironment, MPIEnvironment):
        if launched.detect():
            return launched()
    return own


def _mismatch(who: str, found: str, devices: object, wanted: int, num_nodes: int) -> str:
    return (
        f"trainer.devices: {who} {found}, expected that many devices in all, got {wanted} "
        f"(devices {devices} on each of {num_nodes} nodes)"
    )
