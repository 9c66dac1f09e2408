"""Workers of a study in a real database; their trials are not trained."""

import signal
from types import SimpleNamespace

import pytest
from tests.launching import as_it_was
from tests.studies.searches import not_trained, search

from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.queue import CALL, RUNS
from reparam_suite.studies.search import StudyStorage
from reparam_suite.studies.workers import StudyWork, is_begun, joined, work
from reparam_suite.training import Stopped, StopSignals


@pytest.fixture
def storage(tmp_path):
    with as_it_was():
        yield StudyStorage(url=f"sqlite:///{tmp_path}/optuna.db", root=tmp_path, heartbeat=60)


def test_a_worker_runs_trials_until_there_are_enough(monkeypatch, storage):
    seen = not_trained(monkeypatch)
    seen.outcomes += [{"val/elbo_best": -30.0}, ValueError("not with me")]
    searched = search(num_trials=3, seed=5)
    queue, after = joined(searched, storage), []
    queue.fill()
    try:
        work(searched, queue, StopSignals(), call="now", after_trial=lambda: after.append(len(seen.runs)))
        trials = queue.study.trials
    finally:
        queue.close()
    assert after == [1, 2, 3]
    assert [(trial.state.name, trial.values) for trial in trials] == [
        ("COMPLETE", [-30.0]),
        ("FAIL", None),
        ("COMPLETE", [-20.0]),
    ]
    assert [trial.user_attrs[CALL] for trial in trials] == ["now"] * 3
    assert trials[0].user_attrs[RUNS] == []  # none was on record
    assert [run.seed for run, _ in seen.runs] == [5, 6, 7]
    rates = [float(run.tags["rate"]) for run, _ in seen.runs]
    assert rates == [trial.params["rate"] for trial in trials]
    assert len(set(rates)) == 3


def test_a_worker_in_a_process_of_its_own_joins_the_study_and_ends_at_a_signal(monkeypatch, storage):
    seen = not_trained(monkeypatch)
    seen.outcomes += [{"val/elbo_best": -30.0}, Stopped(signal.SIGTERM)]
    searched = search(num_trials=3)
    queue = joined(searched, storage)
    queue.fill()
    try:
        StudyWork(searched, storage, "now")(0)
        states = [place.state.name for place in queue.places()]
    finally:
        queue.close()
    assert states == ["COMPLETE", "WAITING", "WAITING"], "what was stopped waits"
    assert len(seen.runs) == 2


def test_a_study_is_begun_when_its_database_has_it(storage):
    assert not is_begun(search(), storage)
    assert list(storage.root.iterdir()) == []
    joined(search(), storage).close()
    assert is_begun(search(), storage)
    assert not is_begun(search(name="another"), storage)
    with pytest.raises(UsageError, match="study small is in "):
        joined(search(definition={"a": 2}), storage)


def test_an_idle_worker_waits_for_the_trials_of_others(monkeypatch, storage):
    """One that runs elsewhere may have to be begun again."""
    not_trained(monkeypatch)
    searched = search(num_trials=1)
    queue, pauses = joined(searched, storage), []
    queue.fill()
    claim = queue.claim()

    def sleep(seconds):
        pauses.append(seconds)
        queue.study.tell(claim.trial, -10.0)

    monkeypatch.setattr("reparam_suite.studies.workers.time", SimpleNamespace(sleep=sleep))
    try:
        work(searched, queue, StopSignals(), call="now")
    finally:
        queue.close()
    assert pauses == [1.0]
