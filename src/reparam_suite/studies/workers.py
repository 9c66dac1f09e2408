"""Workers: they live as long as the study, claim one trial after the other, and run it in their process."""

import gc
import time
from collections.abc import Callable
from contextlib import suppress

from optuna.trial import TrialState

from reparam_suite.commands.command_line import quiet
from reparam_suite.studies.command import StudyCommand
from reparam_suite.studies.queue import Queue, found
from reparam_suite.studies.storage import Heartbeat, open_storage, patiently, silence
from reparam_suite.studies.trials import TrialRunner
from reparam_suite.tracking import Store
from reparam_suite.training import Stopped, StopSignals

# Seconds between two looks for a trial, while those of other workers are not finished and may have to be begun again.
_IDLE = 1.0


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
        pruner=settings.make_pruner(),
    )
    begun = sum(trial.state is not TrialState.WAITING for trial in study.get_trials(deepcopy=False))
    study.sampler = settings.make_sampler(worker, begun)
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
    gc.freeze()  # what has been imported stays: to look through it after each trial would take as long as a short one
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


def serve(command: StudyCommand, worker: int) -> None:
    """What a worker does that has a process of its own, until the study is finished or a signal ends it.

    Args:
        command: with the study's settings.
        worker: its number, another one for each.
    """
    with StopSignals() as signals, suppress(Stopped):  # it ends as it was told to
        work(command, joined(command, worker), signals, lambda: None)
