"""Launchers: which variables of the environment say that this process is one of several, and which are leftovers."""

import os
from collections.abc import Mapping
from typing import Any

FIRST_PROCESS = "REPARAM_SUITE_FIRST_PROCESS"
"""The variable with the process number of the first process, which has started this one."""

_TORCHRUN = ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "RANK", "MASTER_ADDR")
_SLURM = ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")

# Names of jobs whose commands are typed: whoever works in one starts processes otherwise (Lightning's rule).
_TYPED = ("bash", "interactive")


def torchrun_world() -> int | None:
    """The number of processes that torchrun has started; None if it has not started this one."""
    if not all(os.environ.get(name) for name in _TORCHRUN):
        return None
    return _number("WORLD_SIZE")


def slurm_tasks() -> int | None:
    """The number of tasks of the SLURM job step in which this process is; None outside of one."""
    if not all(os.environ.get(name) for name in _SLURM) or os.environ.get("SLURM_JOB_NAME") in _TYPED:
        return None
    return _number("SLURM_NTASKS")


def started_by_first_process() -> bool:
    """Whether the first process of a training has started this one."""
    return bool(os.environ.get(FIRST_PROCESS))


def is_further_process(trainer: Mapping[str, Any] | None = None) -> bool:
    """Whether this process is one of several that run one command together, and not the first of them.

    It is where the first process or torchrun has started it. SLURM starts tasks that train together as well as tasks
    that each do something of their own; the first have as many processes as there are tasks.

    Args:
        trainer: the options of the run, if they are known.
    """
    if started_by_first_process():
        return _number("LOCAL_RANK") > 0
    if torchrun_world() is not None:
        return _number("RANK") > 0
    return trainer is not None and all_were_started(trainer) and _number("SLURM_PROCID") > 0


def all_were_started(trainer: Mapping[str, Any]) -> bool:
    """Whether torchrun or SLURM has started all processes of one run, of which this is one.

    Args:
        trainer: the options of the run.
    """
    tasks = slurm_tasks()
    return torchrun_world() is not None or (tasks is not None and tasks > 1 and num_processes(trainer) == tasks)


def num_processes(trainer: Mapping[str, Any]) -> int | None:
    """Devices times nodes of the options of a trainer; None where the machine decides."""
    devices, nodes = trainer.get("devices"), trainer.get("num_nodes") or 1
    if isinstance(devices, list | tuple):
        return len(devices) * int(nodes)
    try:
        count = 1 if devices is None else int(devices)
    except ValueError:
        return None
    return count * int(nodes) if count > 0 else None


def _number(name: str) -> int:
    try:
        return int(os.environ.get(name, ""))
    except ValueError:
        return 0
