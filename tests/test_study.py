"""`python -m reparam_suite.study`: how it ends, by what has ended the study."""

import signal
import sys

import pytest

from reparam_suite import study
from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies import launch
from reparam_suite.studies.launch import StudyFailed, StudyStopped
from reparam_suite.tracking import TrackingError
from reparam_suite.training import Stopped
from reparam_suite.workers import WorkersLost


@pytest.fixture
def ends_with(monkeypatch):
    """Has the study end with an error, or without one."""

    def ends_with(error):
        def search(args, console, signals):
            if isinstance(error, BaseException):
                raise error
            if error is not None:
                signals.received = error

        monkeypatch.setattr(launch, "search", search)

    return ends_with


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (None, 0, None),
        (StudyFailed("no trial is complete"), 1, "no trial is complete"),
        (WorkersLost("no worker is left"), 1, "no worker is left"),
        (StudyStopped(Stopped(signal.SIGINT), "how to resume"), 130, "interrupted; how to resume"),
        (Stopped(signal.SIGTERM), 143, "terminated; no trial had begun"),
        (signal.SIGTERM, 143, "terminated; the study is finished"),
        (UsageError("num_threads: expected so"), 2, "num_threads: expected so"),
        (TrackingError("the store is away"), 2, "the store is away"),
    ],
    ids=["well", "no value", "no worker", "stopped", "stopped before", "a signal at the end", "usage", "store"],
)
def test_each_end_has_its_exit_code_and_one_line(ends_with, capsys, error, code, message):
    ends_with(error)
    assert study.main(["--config", "file"]) == code
    assert capsys.readouterr().err == ("" if message is None else f"reparam_suite.study: {message}\n")


def test_any_other_error_is_shown_whole(ends_with):
    ends_with(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        study.main(["--config", "file"])


def test_without_optuna_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "reparam_suite.studies.command", raising=False)
    monkeypatch.delitem(sys.modules, "reparam_suite.studies.launch", raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert study.main([]) == 2
    assert "Optuna is not installed; to have it: pip install 'reparam_suite[study]'" in capsys.readouterr().err
