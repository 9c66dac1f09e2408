"""The schema of a database: made once, whoever opens it and whatever breaks, and brought to the present one."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.lives import Life

from reparam_suite.tracking import Store, TrackingError, TrackingSettings


@pytest.mark.parametrize("at", ["initialize_tables", "SqlAlchemyStore"])
def test_nothing_is_left_of_a_database_that_could_not_be_made(database, tmp_path, monkeypatch, at):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    if at == "initialize_tables":
        monkeypatch.setattr("reparam_suite.tracking.database.initialize_tables", full)
    else:
        made = lambda engine: shutil.copy(database, engine.url.database)  # noqa: E731
        monkeypatch.setattr("reparam_suite.tracking.database.initialize_tables", made)
        monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore", full)
    with pytest.raises(TrackingError, match=r"mlflow\.db cannot be used: database or disk is full"):
        Store.open(TrackingSettings(root=tmp_path / "a" / "mlruns"))
    assert list(tmp_path.iterdir()) == []


def open_and_run(root: Path, name: str) -> None:
    store = Store.open(TrackingSettings(root=root))
    store.start_run(name=name, parameters={}, tags={}).close("FINISHED")


@pytest.mark.slow
def test_processes_that_open_a_fresh_store_at_once_share_it(tmp_path):
    root = tmp_path / "mlruns"
    processes = [Life.of(open_and_run, root, name, directory=tmp_path, name=name) for name in "abc"]
    for process in processes:
        assert (process.end(), process.told()) == (0, "")
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("reparam_suite")
    assert sorted(run.info.run_name for run in client.search_runs([experiment.experiment_id])) == ["a", "b", "c"]


def test_a_creation_that_was_killed_does_not_matter(tmp_path):
    (tmp_path / "mlflow.db.creating").write_bytes(b"half a database")
    (tmp_path / "mlflow.db.creating-journal").write_bytes(b"its journal")
    Store.open(TrackingSettings(root=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_an_older_schema_is_migrated_after_a_copy(tmp_path):
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = _get_alembic_config(uri)
    scripts = ScriptDirectory.from_config(config)
    older = scripts.get_revision(scripts.get_current_head()).down_revision
    engine = create_sqlalchemy_engine(uri)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, older)
    engine.dispose()

    run = Store.open(TrackingSettings(root=tmp_path)).start_run(name="run", parameters={}, tags={})
    run.close("FINISHED")
    (copy,) = tmp_path.glob(f"mlflow.db.{older}.*")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(older,)]
    connection.close()
