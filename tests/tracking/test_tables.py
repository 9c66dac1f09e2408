"""The owner of a database, by its tables; the files of others are only read."""

import sqlite3
from contextlib import closing

import optuna
import pytest

from reparam_suite.tracking import Store, TrackingError, TrackingSettings
from reparam_suite.tracking.tables import foreign_tables, sqlite_tables


@pytest.fixture(scope="module")
def of_optuna(tmp_path_factory):
    file = tmp_path_factory.mktemp("optuna") / "optuna.db"
    optuna.storages.RDBStorage(f"sqlite:///{file}")
    return file


def test_the_owner_is_known_by_its_tables(database, of_optuna):
    mlflow, optunas = sqlite_tables(database), sqlite_tables(of_optuna)
    assert foreign_tables(mlflow, "MLflow") is None
    assert foreign_tables(optunas, "Optuna") is None
    assert foreign_tables(mlflow, "Optuna") == "expected a database of Optuna or an empty one, got one of MLflow"
    assert foreign_tables(optunas, "MLflow") == "expected a database of MLflow or an empty one, got one of Optuna"
    assert foreign_tables({"alembic_version"}, "MLflow") is None, "a creation that was interrupted"


def test_a_file_without_tables(tmp_path):
    assert sqlite_tables(tmp_path / "none.db") == set()
    (tmp_path / "empty.db").touch()
    assert sqlite_tables(tmp_path / "empty.db") == set()


@pytest.mark.parametrize("whose", ["Optuna", "another"])
def test_a_database_of_another_program_is_left_as_it_is(tmp_path, of_optuna, whose):
    """MLflow alone makes half of its tables in it, and a backup, before it fails."""
    root = tmp_path / "mlruns"
    root.mkdir()
    if whose == "Optuna":
        (root / "mlflow.db").write_bytes(of_optuna.read_bytes())
    else:
        with closing(sqlite3.connect(root / "mlflow.db")) as connection:
            connection.execute("CREATE TABLE runs (poem)")
    before = (root / "mlflow.db").read_bytes()
    got = "one of Optuna" if whose == "Optuna" else "one with the tables runs"
    with pytest.raises(TrackingError, match=f": expected a database of MLflow or an empty one, got {got}$"):
        Store.open(TrackingSettings(root=root))
    assert (root / "mlflow.db").read_bytes() == before
    assert [path.name for path in root.iterdir()] == ["mlflow.db"]


def test_a_database_of_a_later_mlflow_is_left_as_it_is(settings):
    file = settings.root / "mlflow.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of_later'")
        connection.commit()
    before = sorted(path.name for path in settings.root.iterdir())
    with pytest.raises(TrackingError, match=r"its tables are of another version of MLflow \(revision of_later\)"):
        Store.open(settings)
    assert sorted(path.name for path in settings.root.iterdir()) == before
