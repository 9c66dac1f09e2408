"""MLflow's settings in the environment: which of them are the user's."""

import os

import pytest

from reparam_suite.tracking import quiet
from reparam_suite.tracking.quiet import load_mlflow, opening_timeout


def test_waits_are_bounded_unless_the_user_says_otherwise_and_nothing_leaves_the_machine(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "1")
    load_mlflow()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["MLFLOW_HTTP_REQUEST_BACKOFF_JITTER"] == "0"


def test_a_store_that_is_opened_is_waited_for_shortly_and_what_was_set_comes_back(monkeypatch):
    monkeypatch.setattr(quiet, "OPENING_TIMEOUT", 7)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "9")
    names = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    seen = []

    def opened():
        seen.append([os.environ[name] for name in names])
        raise OSError("away")

    with pytest.raises(OSError, match="away"), opening_timeout():
        opened()
    with pytest.raises(OSError, match="away"):
        opened()
    assert seen == [["7", "0"], ["120", "9"]]


def test_archives_with_pickles_are_not_loaded_unless_the_user_says_so(monkeypatch):
    name = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
    for before, after in ((None, "false"), ("true", "true")):
        monkeypatch.delenv(name, raising=False)
        if before is not None:
            monkeypatch.setenv(name, before)
        load_mlflow()
        assert os.environ[name] == after
