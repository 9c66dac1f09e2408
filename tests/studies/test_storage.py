"""The database of studies: what it is called, how it is waited for, and how trials give signs of life."""

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from optuna.exceptions import StorageInternalError
from tests.studies.small import refused

from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies import storage as module
from reparam_suite.studies.storage import Heartbeat, open_storage, url_of, when_it_answers


@pytest.mark.parametrize(
    ("storage", "url"),
    [
        (None, "sqlite:////a/b/optuna.db"),
        ("sqlite:///c.db", "sqlite:///c.db"),
        ("postgresql://ada@db/studies", "postgresql+psycopg://ada@db/studies"),
        ("postgresql+psycopg2://ada@db", "postgresql+psycopg2://ada@db"),
        ("mysql://db", "mysql://db"),
    ],
)
def test_the_url_is_the_one_that_was_given_with_our_driver(storage, url):
    assert url_of(storage, Path("/a/b")) == url


def test_a_call_is_repeated_while_the_database_is_away_and_for_no_other_error(monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    answers = [StorageInternalError("away"), StorageInternalError("away"), 5]

    def call():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert when_it_answers(call) == 5
    assert len(pauses) == 2
    answers.append(ValueError("another"))
    with pytest.raises(ValueError, match="another"):
        when_it_answers(call)
    answers += [StorageInternalError("for good")] * 2
    with pytest.raises(StorageInternalError, match="for good"):
        when_it_answers(call, patience=-1.0)
    assert len(answers) == 1


def test_a_trial_gives_signs_of_life_whatever_the_database_does():
    beats, third = [], Event()

    def record_heartbeat(trial_id):
        beats.append(trial_id)
        if len(beats) == 3:
            third.set()
        raise StorageInternalError("away")

    with Heartbeat(SimpleNamespace(heartbeat_interval=0.001, record_heartbeat=record_heartbeat), 7):
        assert third.wait(60.0)
    number = len(beats)
    assert set(beats) == {7}
    assert not third.wait(0.0) or len(beats) == number, "none after the end"


def test_two_transactions_of_a_file_do_not_read_before_they_write(tmp_path):
    """Sqlite's driver begins transactions after the read that a write depends on."""
    opened = open_storage(f"sqlite:///{tmp_path}/optuna.db", heartbeat=1, root=tmp_path)
    statements = []
    with opened.engine.connect() as connection:
        raw = connection.connection.driver_connection
        raw.set_trace_callback(statements.append)
        connection.exec_driver_sql("SELECT 1")
        raw.set_trace_callback(None)
        assert raw.isolation_level is None
    assert statements[-1] == "SELECT 1"
    opened.engine.dispose()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql+psycopg://ada:secret@127.0.0.1:1/none", "refused"),
        ("postgersql://ada:secret@127.0.0.1/none", "postgersql"),
        ("nothing", "--storage: expected sqlite:///FILE"),
    ],
)
def test_a_storage_that_cannot_be_used_is_reported_without_its_password(tmp_path, url, why):
    with pytest.raises(UsageError) as error:
        open_storage(url, heartbeat=1, root=tmp_path)
    assert "--storage" in str(error.value)
    assert why in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite://", "got sqlite://, which is in memory and ends with the study"),
        ("sqlite:///:memory:", "got sqlite:///:memory:, which is in memory and ends with the study"),
        ("sqlite:///nowhere/x.db", "cannot be used: there is no directory nowhere"),
        ("redis://host", "--storage: expected sqlite:///FILE, postgresql://... or mysql://..., got redis://host"),
        ("postgresql://ada:secret@host:port/x", "--storage postgresql+psycopg://***@host:port/x cannot be used: "),
    ],
)
def test_a_storage_that_cannot_be_used_leaves_nothing(tmp_path, monkeypatch, storage, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(tmp_path, "--storage", storage)


def test_a_database_of_mlflow_is_no_storage(tmp_path):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        for table in ("alembic_version", "experiments", "runs", "metrics", "params", "tags"):
            connection.execute(f"CREATE TABLE {table} (a)")
    before = (tmp_path / "mlflow.db").read_bytes()
    told = refused(tmp_path, "--storage", f"sqlite:///{tmp_path}/mlflow.db")
    assert told.endswith("mlflow.db: expected a database of Optuna or an empty one, got one of MLflow\n")
    assert (tmp_path / "mlflow.db").read_bytes() == before
