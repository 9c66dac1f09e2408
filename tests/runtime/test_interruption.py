"""Signals before a command has begun and after it has ended."""

import os
import signal

import pytest

from reparam_suite.runtime.interruption import end_quietly, ended


@pytest.fixture(autouse=True)
def _handlers():
    before = {
        signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    }
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(
    ("signum", "line", "code"),
    [
        (signal.SIGINT, b"reparam_suite.fit: interrupted\n", 130),
        (signal.SIGTERM, b"reparam_suite.fit: terminated\n", 143),
    ],
)
def test_a_signal_during_imports_ends_the_process_with_a_line(monkeypatch, signum, line, code):
    told = []
    monkeypatch.setattr(os, "write", lambda _, text: told.append(text))
    monkeypatch.setattr(os, "_exit", told.append)
    end_quietly("fit", lambda: told.append("cleaned up"))
    signal.raise_signal(signum)
    assert told == ["cleaned up", line, code]


def test_a_signal_after_the_end_changes_no_exit_code():
    assert ended(2) == 2
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGUSR1)


def test_a_second_signal_during_imports_writes_no_line_of_its_own(monkeypatch):
    told = []
    monkeypatch.setattr(os, "_exit", told.append)

    def write(_, text):
        told.append(text)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(os, "write", write)
    end_quietly("fit", lambda: None)
    signal.raise_signal(signal.SIGINT)
    assert told == [b"reparam_suite.fit: interrupted\n", 130]
