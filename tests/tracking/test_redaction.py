"""Secrets that are taken out of a text, and what stays."""

import pytest

from reparam_suite.tracking.redaction import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ada:secret@db/runs", "postgresql://***@db/runs"),
        ("postgresql://ada:se/cr@et@db/runs", "postgresql://***@db/runs"),
        ("https://token@host/path and http://host:5000/x", "https://***@host/path and http://host:5000/x"),
        ("postgresql://db/runs?user=ada&password=secret&x=1", "postgresql://db/runs?user=ada&password=***&x=1"),
        ("http://host/?Api_Token=abc", "http://host/?Api_Token=***"),
        ("sqlite:///mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
        ("mail ada@host", "mail ada@host"),
    ],
)
def test_user_and_password_of_a_uri(text, shown):
    assert redact(text) == shown


def test_the_credentials_of_mlflow(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "")
    assert redact("refused: hunter2 is wrong") == "refused: *** is wrong"
