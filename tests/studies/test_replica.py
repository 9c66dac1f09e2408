"""Further processes of a trial's run."""

import signal

import pytest
from tests.studies.searches import not_trained, search

from reparam_suite.running import RunStopped
from reparam_suite.studies.replica import train_replica
from reparam_suite.studies.reports import TrialObserver
from reparam_suite.training import ProcessLost, Stopped


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ({}, 0),
        (Stopped(signal.SIGTERM), 1),
        (RunStopped(Stopped(signal.SIGTERM), 3, "resume"), 1),
        (ProcessLost("process 0 was killed", of_first=True), 1),
    ],
    ids=["well", "stopped before it began", "stopped", "the first process has died"],
)
def test_it_trains_the_same_run_and_leaves_all_messages_to_the_first_process(monkeypatch, capfd, outcome, code):
    seen = not_trained(monkeypatch)
    seen.outcomes.append(outcome)
    assert train_replica(search(), {"rate": 0.2}, 7, "small-0", {"study": "small"}) == code
    ((run, surroundings),) = seen.runs
    assert (run.seed, run.name, dict(run.tags)) == (7, "small-0", {"rate": "0.2", "study": "small"})
    assert isinstance(surroundings.observer, TrialObserver)
    assert surroundings.relaunch == ()
    assert capfd.readouterr() == ("", "")


def test_any_other_error_is_its_own(monkeypatch):
    not_trained(monkeypatch).outcomes.append(ValueError("not with me"))
    with pytest.raises(ValueError, match="not with me"):
        train_replica(search(), {"rate": 0.2}, 7, "small-0", {})
