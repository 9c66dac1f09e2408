"""Launchers: which variables of the environment say that this process is one of several, and which are leftovers."""

import os
from collections.abc import Mapping
from typing import Any

FIRST_PROCESS = "REPARAM_SUITE_FIRST_PROCESS"
"""The variable with the process number of the first process, which has started this one."""

_TORCHRUN = ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "RANK", "MASTER_ADDR")


def torchrun_world() -> int | None:
    """The number of processes that torchrun has started; None if it has not started this one."""
    if not all(os.environ.get(name) for name in _TORCHRUN):
        return None
    return _number("WORLD_SIZE")


def is_further_process(trainer: Mapping[str, Any] | None = None) -> bool:
    """Whether this process is one of several that run one command together, and not the first of them.

    It is where the first process or torchrun has started it. SLURM starts tasks that train together as well as tasks
    that each do something of their own; the first have as many processes as there are tasks.

    Args:
        trainer: the options of the run, if they are known.
    """
    if os.environ.get(FIRST_PROCESS):
        return _number("LOCAL_RANK") > 0
    if torchrun_world() is not None:
        return _number("RANK") > 0
    tasks = _number("SLURM_NTASKS")
    return tasks > 1 and trainer is not None and num_processes(trainer) == tasks and _number("SLURM_PROCID") > 0


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
