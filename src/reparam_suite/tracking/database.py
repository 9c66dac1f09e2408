"""The schema of a tracking database: created or migrated in one process, whoever else starts at the same time."""

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from reparam_suite.tracking.mlflow_internals import initialize_tables, schema_revisions, upgrade_tables

# Seconds that a sqlite file may be locked by others before it counts as unusable.
_SQLITE_TIMEOUT = 10


def prepare(uri: str, *, sqlite_file: Path | None, lock_file: Path, artifact_location: str) -> None:
    """Brings the database at `uri` to MLflow's present schema, and to life: its default experiment exists.

    In a new sqlite file that experiment is deleted, as far as MLflow deletes: it would stand empty in front of ours.

    MLflow alone breaks a fresh database for good when two processes open it at once. Here the first one in does the
    work under a lock. A sqlite file gets its final name when it is complete; before a migration it is copied.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _locked(lock_file):
        is_new = sqlite_file is not None and (not sqlite_file.exists() or sqlite_file.stat().st_size == 0)
        if sqlite_file is not None and is_new:
            _create(sqlite_file)
        elif sqlite_file is not None:
            _migrate(sqlite_file)
        store = SqlAlchemyStore(uri, artifact_location)
        if is_new:
            store.delete_experiment(store.DEFAULT_EXPERIMENT_ID)


def check_sqlite_file(file: Path) -> None:
    """Finds out whether an existing file is a sqlite database that can be written.

    Raises:
        sqlite3.Error: if it is not.
    """
    with closing(sqlite3.connect(file, timeout=_SQLITE_TIMEOUT)) as connection:
        connection.execute("PRAGMA schema_version")
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def check_access(uri: str) -> None:
    """Finds out whether a database server lets us in.

    MLflow tries ten times, for 100 s, whatever the answer; a wrong password stays wrong.

    Raises:
        SQLAlchemyError: if it does not.
    """
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # freed by the system when the process dies
        yield


def _create(file: Path) -> None:
    from mlflow.store.db.utils import create_sqlalchemy_engine

    # A process killed in the middle leaves this name only, and the next one starts anew.
    unfinished = file.with_name(file.name + ".creating")
    for leftover in (unfinished, unfinished.with_name(unfinished.name + "-journal")):
        with suppress(FileNotFoundError):
            leftover.unlink()
    engine = create_sqlalchemy_engine(f"sqlite:///{unfinished}")
    try:
        initialize_tables(engine)
    finally:
        engine.dispose()
    os.replace(unfinished, file)


def _migrate(file: Path) -> None:
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{file}")
    try:
        version, latest = schema_revisions(engine)
        if version in (None, latest):  # None: no tables of MLflow's yet
            return
        shutil.copy2(file, file.with_name(f"{file.name}.{version}.{int(time.time())}"))
        upgrade_tables(engine)
    finally:
        engine.dispose()
