"""Tasks in warm processes."""

import gc
import os
import signal
import sys
import time

import pytest

from reparam_suite.runtime.errors import StateError
from reparam_suite.training import Stopped, StopSignals
from reparam_suite.workers import completed, done_here


def square(task, signals):
    if task == "raise":
        raise ValueError("a reason")
    if task == "exit":
        raise SystemExit(3)
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "where":
        return os.getcwd(), os.environ.get("A_VARIABLE"), os.getpid()
    return task * task


def state_of_imports(task, signals):
    heavy = {name for name in ("mlflow.store.tracking.sqlalchemy_store", "matplotlib.pyplot") if name in sys.modules}
    return heavy, gc.isenabled(), gc.get_freeze_count() > 100_000


def sleeps(task, signals):
    if task == 0:
        return os.getpid()
    time.sleep(600)
    return None


def test_all_tasks_are_done_and_those_that_fail_fail_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_VARIABLE", "here")
    tasks = [1, "raise", 3, "die", "exit", 6, "where", "where"]
    outcomes = {outcome.index: outcome for outcome in completed(square, tasks, num_workers=2)}
    assert sorted(outcomes) == list(range(8))
    assert [outcomes[index].value for index in (0, 2, 5)] == [1, 9, 36]
    assert outcomes[1].error == "ValueError: a reason"
    assert outcomes[3].error.endswith("was killed by SIGKILL")
    assert "SystemExit" in outcomes[4].error
    for index in (6, 7):
        directory, variable, process = outcomes[index].value
        assert (directory, variable) == (str(tmp_path), "here")
        assert process != os.getpid()


def test_workers_have_their_imports_at_once_and_collect_garbage_as_ever():
    (outcome,) = completed(state_of_imports, [0], num_workers=1)
    heavy, collects, frozen = outcome.value
    assert heavy == {"mlflow.store.tracking.sqlalchemy_store", "matplotlib.pyplot"}
    assert collects
    assert frozen


def test_closing_ends_the_workers():
    outcomes = completed(sleeps, [0, 1, 2], num_workers=2)
    process = next(outcomes).value
    began = time.monotonic()
    outcomes.close()
    assert time.monotonic() - began < 300  # a task sleeps for 600
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_worker_that_cannot_begin_is_told(monkeypatch):
    monkeypatch.setattr("reparam_suite.workers.tasks._serve", exits)
    with pytest.raises(StateError, match="ended with exit code 5 before it had a task"):
        list(completed(square, [1], num_workers=1))


def exits(connection, function):
    raise SystemExit(5)


def test_a_task_here_is_stopped_by_a_signal_and_by_nothing_else():
    def stops(task, signals):
        raise Stopped(signal.SIGTERM)

    assert done_here(square, 4, "raise", StopSignals()).error == "ValueError: a reason"
    assert done_here(square, 4, 3, StopSignals()).value == 9
    with pytest.raises(Stopped):
        done_here(stops, 0, 0, StopSignals())
