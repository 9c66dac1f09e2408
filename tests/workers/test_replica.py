"""Further processes of a worker's run: the function that they call, sent in a file."""

import sys
from multiprocessing import spawn
from pathlib import Path

import pytest

from reparam_suite.workers import replica
from reparam_suite.workers.replica import relaunch_command

CALLS = []


def called(*arguments):
    CALLS.append(arguments)
    return len(arguments)


@pytest.fixture
def prepared(monkeypatch):
    """What the other process would be prepared with; this one stays as it is."""
    found = []
    monkeypatch.setattr(spawn, "prepare", found.append)
    return found


def test_the_command_calls_the_function_with_its_arguments(prepared):
    CALLS.clear()
    with relaunch_command(called, {"a": 1}, "b") as command:
        interpreter, *words, file = command
        assert (interpreter, words) == (sys.executable, ["-m", "reparam_suite.workers.replica"])
        assert replica.main([file]) == 2
        assert CALLS == [({"a": 1}, "b")]
    assert not Path(file).exists()


def test_the_other_process_imports_what_this_one_does_and_gets_no_secret(prepared):
    with relaunch_command(called) as command:
        replica.main(command[-1:])
    (data,) = prepared
    assert data["sys_path"] == sys.path
    assert data["name"] == "replica"
    assert "authkey" not in data


def test_what_cannot_be_sent_has_no_command():
    with relaunch_command(lambda: 0) as command:
        assert command is None
