import os
import random
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

import reparam_suite
from reparam_suite.tracking import environment, environment_tags, redact, run_name


def test_a_run_is_named_by_what_it_is():
    random.seed(0)
    first = run_name("Pathwise", 0, "Digits")
    random.seed(0)
    assert first == "Pathwise-0-Digits"
    assert run_name("Pathwise", 1, "Digits") == "Pathwise-1-Digits"


def test_tags_tell_process_and_versions():
    tags = environment_tags()
    assert tags["process.host"] == socket.gethostname()
    assert tags["process.pid"] == str(os.getpid())
    assert abs(float(tags["process.started"]) - psutil.Process().create_time()) < 0.02
    assert {"version.python", "version.torch", "version.lightning", "version.mlflow", "version.reparam_suite"} <= set(
        tags
    )


def test_tags_tell_the_commit_of_a_checkout():
    package = Path(reparam_suite.__file__).parent
    answer = subprocess.run(["git", "rev-parse", "HEAD"], cwd=package, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        pytest.skip("the package is not in a git checkout")
    tags = environment_tags()
    assert tags["git.commit"] == answer.stdout.strip()
    assert tags["git.dirty"] in ("true", "false")


def test_code_outside_a_checkout_has_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))
    assert not any("git" in tag for tag in environment_tags())


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://ada:secret@host:5000/api", "http://***@host:5000/api"),
        ("https://token@host", "https://***@host"),
        ("postgresql+psycopg2://ada:sec@ret@db/runs", "postgresql+psycopg2://***@db/runs"),
        ("mysql://ada:sec/ret@db/runs", "mysql://***@db/runs"),
        ("{'uri': 'http://a:b@c', 'mail': 'x@y'}", "{'uri': 'http://***@c', 'mail': 'x@y'}"),
        ("http://host:5000/path", "http://host:5000/path"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("mail ada@host", "mail ada@host"),
    ],
)
def test_redaction(text, clean):
    assert redact(text) == clean


def test_redaction_of_mlflows_own_credentials(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    assert redact("Bearer t0ken") == "Bearer ***"
