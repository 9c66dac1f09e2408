"""Checks of a study before its first trial, or its next one: the metrics of its runs, and their data."""

import dataclasses
import difflib
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from lightning.pytorch import LightningDataModule
from rich.console import Console

from reparam_suite.running import Run, Surroundings
from reparam_suite.running.assembly import Assembly, assemble
from reparam_suite.running.fitting import add_callbacks, callbacks
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.runtime.plain_data import plain
from reparam_suite.studies.search import Search, StudyStorage
from reparam_suite.studies.trial_data import check_trial_data
from reparam_suite.studies.workers import is_begun, joined
from reparam_suite.training import Checkpoints, Journal, RecordSettings, StopSignals

_log = logging.getLogger(__name__)

# As little of everything as there is: a step, a batch, a measurement.
_SHORT: dict[str, Any] = {
    "limit_train_batches": 1,
    "limit_val_batches": 1,
    "limit_test_batches": 1,
    "val_check_interval": None,
    "check_val_every_n_epoch": 1,
    "num_sanity_val_steps": 0,
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
}


def check_trials(search: Search, storage: StudyStorage, *, objective: str = "objective") -> None:
    """Refuses what lets each trial fail: metrics that no run of a new study has, and replaced data of one that resumes.

    Args:
        search: the study.
        storage: which may have trials of it.
        objective: the name of the argument or option that has the objectives.

    Raises:
        UsageError: with the nearest name, or both digests; or if the storage has another study of this name.
    """
    if is_begun(search, storage):
        check_data_of_further_trials(search, storage)
    else:
        check_metrics(search, objective=objective)


def check_metrics(search: Search, *, objective: str = "objective") -> None:
    """Refuses objectives and constraints that are no metric of the study's runs.

    A run is made with the first values of the space that allow it, and rehearsed without a record.

    Args:
        search: the study.
        objective: the name of the argument or option that has the objectives.

    Raises:
        UsageError: with the nearest name.
    """
    metrics = _metrics(search)
    if metrics is None:
        return
    for what, names in ((objective, search.objectives), ("constraints", search.constraints)):
        for name in names:
            if name not in metrics:
                near = difflib.get_close_matches(name, metrics, n=1)
                mend = f", did you mean {near[0]}?" if near else ""
                raise UsageError(f"{what}: expected a metric of the runs ({_listed(metrics)}), got {name}{mend}")


def check_data_of_further_trials(search: Search, storage: StudyStorage) -> None:
    """Refuses to take up a study whose data were replaced: each of its further trials would fail.

    Raises:
        UsageError: naming both digests; or if the storage cannot be used, or has another study of this name.
    """
    queue = joined(search, storage)
    try:
        if len(queue.places()) == search.num_trials and queue.finished():
            return
        for parts in _assembled(search):
            check_trial_data(queue.study, search.name, parts)
    finally:
        queue.close()


def rehearsed_metrics(run: Run) -> set[str]:
    """The names of the metrics of a run, from one step of it that is recorded nowhere.

    Raises:
        Exception: any that the run raises.
    """
    options = {**run.trainer, **_SHORT}
    record = RecordSettings(every=1, gradients_every=1)
    short = dataclasses.replace(run, max_steps=1, max_epochs=None, compile=False, trainer=options, record=record)
    signals = StopSignals()
    with unchanged_globals():
        parts = assemble(short, Surroundings(Console(quiet=True), signals, None))
        journal, checkpoints = Journal(), Checkpoints(monitor=parts.monitor)
        recording = [
            callback for callback in callbacks(parts, journal, checkpoints, signals) if callback is not checkpoints
        ]
        add_callbacks(parts, recording)
        parts.trainer.fit(parts.model, datamodule=parts.data)
        if parts.tests:
            parts.trainer.test(parts.model, datamodule=parts.data, verbose=False)
    return set(journal.curves)


def _metrics(search: Search) -> set[str] | None:
    for values in search.space.corners():
        try:
            return rehearsed_metrics(search.run(values, search.seeds_of(0)[0], name="rehearsal", tags={}))
        except Exception as error:  # noqa: BLE001 - these values may not fit together; a trial with them fails alone
            _log.debug("no rehearsal with %s: %s", values, error)
    return None


def _assembled(search: Search) -> Iterator[Assembly]:
    # The parts of a run for each description of data in the space.
    surroundings = Surroundings(Console(quiet=True), StopSignals(), relaunch=())
    seen: set[str] = set()
    for values in search.space.corners():
        with unchanged_globals():
            try:
                run = search.run(values, search.seeds_of(0)[0], name="data", tags={})
                data = run.data if isinstance(run.data, LightningDataModule) else run.data()
                if (description := repr(plain(data))) in seen:
                    continue
                parts = assemble(run, surroundings)
            except Exception as error:  # noqa: BLE001 - these values may not fit together; a trial with them fails alone
                _log.debug("no run with %s: %s", values, error)
                continue
        seen.add(description)
        yield parts


def _listed(metrics: Iterable[str]) -> str:
    return ", ".join(sorted(metrics))
