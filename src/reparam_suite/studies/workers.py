"""Workers: processes that live as long as the study, claim one trial after the other, and run it in themselves."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from typing import final

from reparam_suite.command_line import quiet
from reparam_suite.studies.queue import Queue, found
from reparam_suite.studies.settings import StudyCommand
from reparam_suite.studies.storage import Heartbeat, open_storage, patiently, silence
from reparam_suite.studies.trials import TrialRunner
from reparam_suite.tracking import Store
from reparam_suite.training import Stopped, StopSignals

# Seconds between two looks for a trial, while those of other workers are not finished and may have to be begun again.
_IDLE = 1.0

# Seconds that a worker has for the step, the validation and the checkpoint that a stop finds it in.
_LAST_WISH = 60.0

# Workers that died, for each of those asked for, in whose place another one is started.
_REPLACEMENTS = 3


def joined(command: StudyCommand, worker: int) -> Queue:
    """The study of a command as one of its workers sees it.

    Raises:
        UsageError: if its storage cannot be used, or has another study of this name.
    """
    settings, url = command.settings, command.storage_url
    silence()
    storage = open_storage(url, heartbeat=command.heartbeat, root=command.tracking.root)
    study = found(
        storage,
        settings.name,
        url,
        directions=tuple(settings.objectives.values()),
        definition=settings.definition(),
        sampler=settings.make_sampler(worker),
        pruner=settings.make_pruner(),
    )
    return Queue(study, storage, settings.trials)


def work(command: StudyCommand, queue: Queue, signals: StopSignals, after_trial: Callable[[], None]) -> None:
    """Runs trials until all that were asked for are finished, here or elsewhere.

    Args:
        command: with the study's settings.
        queue: of the trials.
        signals: a stop finishes the step in progress.
        after_trial: is called after each.

    Raises:
        Stopped: if a signal ended it.
    """
    quiet()
    store = Store.open(command.tracking)
    runner = TrialRunner(command.settings, store, signals)
    while not patiently(queue.finished):
        signals.wait()  # neither a claim nor a record is left half done
        if (claim := patiently(queue.claim)) is not None:
            if claim.again:
                list(store.recover())  # the run of the worker that is gone
            with Heartbeat(queue.storage, claim.trial_id):
                runner.run(claim.trial)
            after_trial()
        signals.wait_no_longer()
        if claim is None:
            time.sleep(_IDLE)


@final
@dataclass(frozen=True)
class LocalWorkers:
    """Processes of this machine.

    Args:
        command: with their number.
    """

    command: StudyCommand

    def run(self, watch: Callable[[], None]) -> list[str]:
        """Runs them until the study is finished; what to tell of those that died.

        Args:
            watch: is called twice a second.

        Raises:
            Stopped: if a signal ended it; all processes have ended then.
        """
        processes = {index: self._started(index) for index in range(self.command.workers)}
        died: list[str] = []
        try:
            while processes:
                for index, process in list(processes.items()):
                    process.join(0.5 / self.command.workers)
                    if process.exitcode is None:
                        continue
                    del processes[index]
                    if process.exitcode:
                        died.append(f"worker {process.pid} {_ended(process.exitcode)}")
                        if len(died) <= _REPLACEMENTS * self.command.workers:
                            processes[index] = self._started(index + len(died) * self.command.workers)
                watch()
        finally:
            _end(list(processes.values()))
        return died

    def _started(self, worker: int) -> SpawnProcess:
        # Ctrl-C reaches every process of the terminal: the workers leave it to the launcher, which ends them.
        process = multiprocessing.get_context("spawn").Process(target=_worker, args=(self.command, worker))
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        return process


def _worker(command: StudyCommand, worker: int) -> None:
    with StopSignals() as signals:
        try:
            work(command, joined(command, worker), signals, lambda: None)
        except Stopped:
            sys.exit(0)  # as it was told to


def _ended(exit_code: int) -> str:
    return f"was killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with exit code {exit_code}"


def _end(processes: list[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _LAST_WISH
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
