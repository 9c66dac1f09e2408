"""Workers of a study: each claims one trial after the other, and runs it in its process."""

import copy
import gc
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import final

import optuna

from reparam_suite.runtime.file_urls import sqlite_file
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.studies.queue import CALL, Queue, found
from reparam_suite.studies.sampling import TrialSeeds
from reparam_suite.studies.search import Search, StudyStorage
from reparam_suite.studies.storage import Heartbeat, check_storage, open_storage, silence, when_it_answers
from reparam_suite.studies.trials import TrialRunner
from reparam_suite.training import Stopped, StopSignals

# Seconds between two looks for a trial, while those of other workers are not finished and may have to be begun again.
_IDLE = 1.0


def joined(search: Search, storage: StudyStorage) -> Queue:
    """The trials of a study as one of its workers sees them; the study is made if there is none.

    Raises:
        UsageError: if its storage cannot be used, or has another study of this name.
    """
    silence()
    opened = open_storage(storage.url, heartbeat=storage.heartbeat, root=storage.root)
    study = found(
        opened,
        search.name,
        storage.url,
        directions=tuple(search.objectives.values()),
        definition=search.definition,
        sampler=copy.deepcopy(search.sampler),
        pruner=search.pruner,
    )
    return Queue(study, opened, search.num_trials)


def work(
    search: Search, queue: Queue, signals: StopSignals, *, call: str, after_trial: Callable[[], None] = lambda: None
) -> None:
    """Runs trials until all that were asked for are finished, here or elsewhere.

    Args:
        search: of the study.
        queue: of the trials.
        signals: a stop finishes the step in progress.
        call: a word of the call that the trials are run for, which they keep.
        after_trial: is called after each.

    Raises:
        Stopped: if a signal ended it.
    """
    runner = TrialRunner(search, signals)
    seeds = TrialSeeds(queue.study.sampler, search.seed)
    while not when_it_answers(queue.finished):
        signals.wait()  # neither a claim nor a record is left half done
        if (claim := when_it_answers(queue.claim)) is not None:
            when_it_answers(lambda claim=claim: claim.trial.set_user_attr(CALL, call))  # type: ignore[misc]
            seeds.set_for(claim.trial.number)
            with Heartbeat(queue.storage, claim.trial_id):
                runner.run(claim)
            after_trial()
        signals.wait_no_longer()
        if claim is None:
            time.sleep(_IDLE)


@final
@dataclass(frozen=True)
class StudyWork:
    """The work of a worker that has a process of its own.

    Args:
        search: of the study.
        storage: of the study.
        call: a word of the call that the trials are run for.
    """

    search: Search
    storage: StudyStorage
    call: str

    def __call__(self, number: int) -> None:  # noqa: ARG002 - its number is in no result
        """Runs trials until the study is finished or a signal ends it."""
        with StopSignals() as signals, suppress(Stopped), plain_warnings("reparam_suite.study"):  # a signal ends it
            queue = joined(self.search, self.storage)
            gc.freeze()  # what has been imported stays: to look through it after each trial would take as long
            try:
                work(self.search, queue, signals, call=self.call)
            finally:
                queue.close()


def is_begun(search: Search, storage: StudyStorage) -> bool:
    """Whether there is a study of this name; nothing is created where there is no file of a database yet.

    Raises:
        UsageError: if the storage cannot be used.
    """
    check_storage(storage.url, storage.root)
    file = sqlite_file(storage.url)
    if file is not None and not os.path.exists(file):
        return False
    opened = open_storage(storage.url, heartbeat=storage.heartbeat, root=storage.root)
    try:
        return search.name in optuna.get_all_study_names(opened)
    finally:
        opened.remove_session()
        opened.engine.dispose()
