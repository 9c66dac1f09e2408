"""Engines: which one an option asks for, and that tasks which cannot be sent are done here."""

import logging
import sys

import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.training import StopSignals
from reparam_suite.workers import LocalEngine, check_resources, engine_of, engines


def test_tasks_that_cannot_be_sent_are_done_here_and_it_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        outcomes = list(LocalEngine(2).completed(lambda task, _: task + 1, [1, 2], StopSignals()))
    assert [outcome.value for outcome in outcomes] == [2, 3]
    assert "runs train in this process, one after the other" in caplog.text


@pytest.mark.parametrize(("workers", "tasks", "times"), [(2, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_the_server_of_the_workers_starts_where_there_are_several(monkeypatch, workers, tasks, times):
    started = []
    monkeypatch.setattr(engines, "start_server", lambda: started.append(None))
    LocalEngine(workers).prepare(tasks)
    assert len(started) == times


def test_an_engine_has_a_worker():
    with pytest.raises(ValueError, match="workers: expected an integer of at least 1, got 0"):
        LocalEngine(0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("local", None, 0.25), "--gpus-per-worker is for --engine ray, got --engine local"),
        (("ray", None, 1.5), "--gpus-per-worker: expected a part of one or a whole number, got 1.5"),
        (("ray", -1.0, None), "--cpus-per-worker: expected a part of one or a whole number, got -1"),
    ],
)
def test_reservations_that_cannot_be_made_are_refused(given, told):
    with pytest.raises(UsageError) as error:
        check_resources(*given)
    assert str(error.value) == told


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "reparam_suite.workers.on_ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"--engine ray: Ray is not installed; to have it: pip install"):
        engine_of("ray", 2, cpus=None, gpus=None, databases={})
