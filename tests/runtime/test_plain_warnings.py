"""Warnings on a terminal are one line of ours, whichever library they come from."""

import warnings

import pytest

from reparam_suite import compare, fit, study, sweep, sync, ui
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.studies import workers
from reparam_suite.training import Stopped


def shown() -> str:
    return warnings.formatwarning(UserWarning("one\n  two"), UserWarning, "/home/ada/library.py", 17, "call()")


def test_a_warning_is_one_line_without_path_and_source():
    before = shown()
    with plain_warnings("reparam_suite.fit"):
        assert shown() == "reparam_suite.fit: one two\n"
    assert shown() == before


@pytest.mark.parametrize("command", [fit, study, sweep, compare, sync, ui], ids=lambda command: command.__name__)
def test_every_command_shows_warnings_so(command, monkeypatch):
    seen = []

    def look(*_, **__):
        seen.append(shown())
        raise SystemExit(7)

    monkeypatch.setattr(command, "TextConsole", look)
    with pytest.raises(SystemExit):
        command.main(["runs"])
    assert seen == [f"{command.__name__}: one two\n"]


def test_so_does_a_worker_of_a_study_in_its_own_process(monkeypatch):
    seen = []

    def look(*_):
        seen.append(shown())
        raise Stopped(15)

    monkeypatch.setattr(workers, "joined", look)
    workers.StudyWork(None, None, "")(0)
    assert seen == ["reparam_suite.study: one two\n"]
