"""URLs of sqlite files lead back to their paths, and SQLAlchemy opens that very file."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from reparam_suite.runtime.file_urls import sqlite_file, sqlite_url

NAMES = ["plain", "with space", "50%", "a%20b", "what?", "no#1", "é", "a&b=c", "%3F"]


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_a_url_is_the_one_that_is_opened(tmp_path, name):
    file = tmp_path / name / "runs.db"
    file.parent.mkdir()
    assert sqlite_file(sqlite_url(file)) == file
    engine = create_engine(sqlite_url(file))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    engine.dispose()
    assert [path.name for path in file.parent.iterdir()] == ["runs.db"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "http://a/b", "postgresql://a/b", ""])
def test_other_urls_have_no_file(url):
    assert sqlite_file(url) is None


def test_a_relative_path_and_a_query():
    assert sqlite_url(Path("mlruns/mlflow.db")) == "sqlite:///mlruns/mlflow.db"
    assert sqlite_file("sqlite:///mlruns/mlflow.db?timeout=3") == Path("mlruns/mlflow.db")
