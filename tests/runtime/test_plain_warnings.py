"""Warnings on a terminal are one line of ours, whichever library they come from."""

import warnings

import pytest

from reparam_suite import compare, fit, study, sync
from reparam_suite.runtime.plain_warnings import plain_warnings


def shown() -> str:
    return warnings.formatwarning(UserWarning("one\n  two"), UserWarning, "/home/ada/library.py", 17, "call()")


def test_a_warning_is_one_line_without_path_and_source():
    before = shown()
    with plain_warnings("reparam_suite.fit"):
        assert shown() == "reparam_suite.fit: one two\n"
    assert shown() == before


@pytest.mark.parametrize("command", [fit, study, compare, sync], ids=lambda command: command.__name__)
def test_every_command_shows_warnings_so(command, monkeypatch):
    seen = []

    def look(*_, **__):
        seen.append(shown())
        raise SystemExit(7)

    monkeypatch.setattr(command, "TextConsole", look)
    with pytest.raises(SystemExit):
        command.main(["runs"])
    assert seen == [f"{command.__name__}: one two\n"]
