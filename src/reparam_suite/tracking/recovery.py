"""Runs that their process left behind: what they have not sent is delivered, and their end is recorded."""

import dataclasses
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

from reparam_suite.tracking.mlflow_internals import last_metric_time
from reparam_suite.tracking.process import Process
from reparam_suite.tracking.reading import find_run
from reparam_suite.tracking.reasons import reason
from reparam_suite.tracking.records import Destination, Rejected, Undelivered, send
from reparam_suite.tracking.spool import Batch, Occupied, Spool

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# RUNNING runs of one experiment that are looked at.
_MOST = 1000

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Recovered:
    """The outcome of the recovery of one run.

    Args:
        run_id: MLflow's.
        outcome: in words, with the run's name.
        kind: whether all is delivered now, something could not be, or the run is none of ours to touch.
    """

    run_id: str
    outcome: str
    kind: Literal["recovered", "unsent", "left alone"]


@final
@dataclass(frozen=True)
class Recovery:
    """Looks for runs that are RUNNING, or have a spool here, and whose process is gone.

    Safe beside others who do the same, and beside the runs themselves: a run's spool is open once at a time.

    Args:
        client: of the store.
        experiment_ids: of the experiment whose runs are looked at; none if it does not exist yet.
        spools: the directory of the spools.
        destination: of a run.
        gone: hosts that will not return. Of all others, a run on another host than this one is left alone.
    """

    client: "MlflowClient"
    experiment_ids: list[str]
    spools: Path
    destination: Callable[["Run"], Destination]
    gone: Collection[str] = ()

    def recover(self) -> Iterator[Recovered]:
        """Recovers one run after the other. One query, if there is nothing to do."""
        wanted = "attributes.status = 'RUNNING'"
        ids = self.experiment_ids
        running = self.client.search_runs(ids, wanted, max_results=_MOST) if ids else []
        found: dict[str, Run | None] = {run.info.run_id: run for run in running}
        for run_id in _spooled(self.spools):
            found.setdefault(run_id, None)
        for run_id, run in found.items():
            if (recovered := self._recover(run_id, run)) is not None:
                yield recovered

    def end(self, run_id: str) -> Recovered | None:
        """Recovers a run of which the caller knows that its process is gone, on whatever host that was."""
        run = find_run(self.client, run_id)
        process = None if run is None else Process.of(run.data.tags)
        gone = [] if process is None else [process.host]
        return dataclasses.replace(self, gone=gone)._recover(run_id, run)

    def _recover(self, run_id: str, run: "Run | None") -> Recovered | None:
        run = run or find_run(self.client, run_id)
        if run is None or run.info.lifecycle_stage != "active":
            why = "is not in this store" if run is None else "was deleted in MLflow"
            return Recovered(run_id, f"{why}; its records stay in {self.spools / run_id}", "left alone")
        process, name = Process.of(run.data.tags), run.info.run_name
        if process is None:  # recorded by something else than this suite
            return None
        if not self._can_tell(process):
            where = f"{name} belongs to process {process.pid} on {process.host}, which cannot be seen from here"
            return Recovered(run_id, where, "left alone")
        spooled = (self.spools / run_id).exists()
        if not spooled and not self._is_gone(process):
            return Recovered(run_id, f"{name} is running as process {process.pid}", "left alone")
        try:
            spool = Spool(self.spools / run_id, about={})
        except Occupied:
            return Recovered(run_id, f"{name} is running as process {process.pid}", "left alone")
        try:
            return self._settle(run_id, spool)
        finally:
            spool.close()

    def _settle(self, run_id: str, spool: Spool) -> Recovered | None:
        from mlflow.exceptions import MlflowException

        run = self.client.get_run(run_id)  # again: until the spool was ours, others may have changed it
        name, waiting = run.info.run_name, spool.num_unsent
        try:
            why = deliver(spool, self.destination(run))
            run = self.client.get_run(run_id)
            killed = run.info.status == "RUNNING" and self._end(run)
        except (MlflowException, OSError) as error:
            why = error
        if why is not None:
            left = f"{name}: {spool.num_unsent} of {waiting} records are unsent, in {spool.directory}: {reason(why)}"
            return Recovered(run_id, left, "unsent")
        if not waiting and not killed:
            return None
        sent = f"{waiting} records delivered, " if waiting else ""
        status = "KILLED, since its process is gone" if killed else run.info.status
        return Recovered(run_id, f"{name}: {sent}{status}", "recovered")

    def _end(self, run: "Run") -> bool:
        """Ends a run whose process is gone, as of its last sign of life; whether it did."""
        process = Process.of(run.data.tags)
        if process is None or not self._can_tell(process) or not self._is_gone(process):
            return False
        told = f"process {process.pid} on {process.host} ended without notice"
        self.client.set_tag(run.info.run_id, "process.end", told)
        last = last_metric_time(run) or run.info.start_time
        self.client.set_terminated(run.info.run_id, "KILLED", last)
        return True

    def _can_tell(self, process: Process) -> bool:
        return process.host in self.gone or process.is_of_this_machine()

    def _is_gone(self, process: Process) -> bool:
        return not process.is_of_this_machine() or process.is_gone()


def deliver(spool: Spool, to: Destination) -> Exception | None:
    """Sends all that a spool holds; what the store refuses is set aside.

    Files that cannot be delivered are set back; returns why the last of them could not.

    Raises:
        Exception: whatever the store or the network raises. What was sent before is marked.
    """
    waiting, why = spool.num_later, None
    while (batch := spool.take()) is not None:
        why = _delivered(spool, batch, to) or why
    for _ in range(waiting):
        if (batch := spool.take_later()) is not None:
            why = _delivered(spool, batch, to) or why
    return why


def _delivered(spool: Spool, batch: Batch, to: Destination) -> Exception | None:
    try:
        send(to, batch.entries)
    except Rejected as error:
        _log.warning("run %s: the store rejects: %s", to.run_id, reason(error))
        spool.done(batch, refused=True)
    except Undelivered as error:
        spool.set_back(batch)
        return error
    else:
        spool.done(batch)
    return None


def _spooled(spools: Path) -> list[str]:
    """The runs that have a spool; one that nobody holds and that is empty says nothing."""
    try:
        return sorted(path.name for path in spools.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
