"""The schema of a tracking database: created or migrated in one process, whoever else starts at the same time."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from reparam_suite.runtime.file_locks import locked
from reparam_suite.runtime.file_urls import sqlite_url
from reparam_suite.tracking.mlflow_internals import (
    initialize_tables,
    is_known_revision,
    schema_revisions,
    upgrade_tables,
)

# Seconds that a sqlite file may be locked by others before it counts as unusable.
_SQLITE_TIMEOUT = 10


@contextmanager
def prepared(uri: str, *, file: Path | None, lock: Path, artifact_location: str) -> Iterator[None]:
    """Brings the database at `uri` to MLflow's present schema, and to life: its default experiment exists.

    In a new sqlite file that experiment is deleted, as far as MLflow deletes: it would stand empty in front of ours.

    MLflow alone breaks a fresh database for good when two processes open it at once. Here the first one in does the
    work under a lock, which is held within this context. A sqlite file gets its final name when it is complete; before
    a migration it is copied. If the context ends with an error, a file that was made for it is removed.

    Args:
        uri: of the database.
        file: of a sqlite database.
        lock: the file of the lock.
        artifact_location: of experiments that are made.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with locked(lock):
        created = file is not None and (not file.exists() or file.stat().st_size == 0)
        try:
            if file is not None and created:
                _create(file)
            elif file is not None:
                _migrate(file)
            store = SqlAlchemyStore(uri, artifact_location)
            if created:
                store.delete_experiment(store.DEFAULT_EXPERIMENT_ID)
            store.engine.dispose()
            yield
        except BaseException:
            if file is not None and created:
                for name in _files(file):
                    name.unlink(missing_ok=True)
            raise


def check_sqlite_file(file: Path) -> None:
    """Finds out whether an existing file is a sqlite database that can be written.

    Raises:
        sqlite3.Error: if it is not.
    """
    with closing(sqlite3.connect(file, timeout=_SQLITE_TIMEOUT)) as connection:
        connection.execute("PRAGMA schema_version")
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def tables_of_server(uri: str) -> set[str]:
    """The names of the tables of a database server.

    MLflow tries ten times, for 100 s, whatever the answer; a wrong password stays wrong.

    Raises:
        SQLAlchemyError: if it does not let us in.
    """
    from mlflow.store.db.utils import create_sqlalchemy_engine
    from sqlalchemy import inspect

    engine = create_sqlalchemy_engine(uri)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _create(file: Path) -> None:
    from mlflow.store.db.utils import create_sqlalchemy_engine

    # A process killed in the middle leaves this name only, and the next one starts anew.
    unfinished = file.with_name(file.name + ".creating")
    for leftover in _files(unfinished):
        leftover.unlink(missing_ok=True)
    engine = create_sqlalchemy_engine(sqlite_url(unfinished))
    try:
        initialize_tables(engine)
        engine.dispose()
        os.replace(unfinished, file)
    finally:
        engine.dispose()
        for leftover in _files(unfinished):
            leftover.unlink(missing_ok=True)


def _files(database: Path) -> list[Path]:
    # The file, and those that sqlite has beside it for a time.
    return [database, *(database.with_name(f"{database.name}-{suffix}") for suffix in ("journal", "wal", "shm"))]


def _migrate(file: Path) -> None:
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(sqlite_url(file))
    try:
        version, latest = schema_revisions(engine)
        if version is None or version == latest:  # None: no tables of MLflow's yet
            return
        if not is_known_revision(version):
            raise OSError(f"its tables are of another version of MLflow (revision {version}) than this one ({latest})")
        shutil.copy2(file, file.with_name(f"{file.name}.{version}.{int(time.time())}"))
        upgrade_tables(engine)
    finally:
        engine.dispose()
