"""Runs that are found again by a key: that of a job, or one that the user gives."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from reparam_suite.running.resuming import found_run
from reparam_suite.running.resumption import RUN_KEY, Resumption
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.launchers import num_processes
from reparam_suite.tracking import RecordedRun, Store, TrackingSettings


@final
@dataclass(frozen=True)
class RunKey:
    """A key, by which the same command finds its own run again.

    Args:
        name: of the key.
        of_job: whether it is that of the scheduler's job in which this process is. No other process can then be at the
            job's runs, wherever they are said to run.
    """

    name: str
    of_job: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip() or "'" in self.name:
            raise UsageError(f"run_key: expected a name without single quotes, got {self.name!r}")

    def resumption(self, seed: int, tracking: TrackingSettings, *, allow_changes: bool) -> Resumption | None:
        """The run of this key and a seed; None if there is none.

        Raises:
            UsageError: if there are several.
            TrackingError: if the store does not answer, or the run is running.
        """
        if tracking.missing_file() is not None:
            return None
        store = Store.open(tracking)
        runs = store.runs(f"tags.{RUN_KEY} = '{self.name}' and tags.seed = '{seed}'")
        if len(runs) > 1:
            told = ", ".join(f"{run.run_id} ({run.status})" for run in runs)
            raise UsageError(
                f"run_key: expected one run of key {self.name} and seed {seed}, got {told}; resume one with "
                "--resume RUN_ID, or delete the others"
            )
        return self._resumption(runs[0], store, tracking, allow_changes) if runs else None

    def _resumption(self, run: RecordedRun, store: Store, tracking: TrackingSettings, allow: bool) -> Resumption:
        if self.of_job and run.status == "RUNNING":
            store.end_gone(run.run_id)
        return found_run(run.run_id, tracking, allow_changes=allow)


def job_key(trainer: Mapping[str, Any]) -> RunKey | None:
    """The key of the SLURM job, or of its array's task, in which this process is; None outside of one.

    Several tasks of a job that train a run each have a key each.

    Args:
        trainer: the options of the run's trainer.
    """
    if (job := slurm_job()) is None:
        return None
    tasks = os.environ.get("SLURM_NTASKS", "1")
    apart = tasks.isdecimal() and int(tasks) > 1 and num_processes(trainer) == 1
    return RunKey(f"slurm-{job}" + (f".{os.environ.get('SLURM_PROCID', '0')}" if apart else ""), of_job=True)


def slurm_job() -> str | None:
    """The id of the SLURM job in which this process is, as `scontrol` takes it; None outside of one."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID") or None
