"""The database of studies: made by one process, shared by many, and waited for while it does not answer."""

import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, TypeVar, final

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy import Connection, create_engine, event, inspect
from sqlalchemy.exc import SQLAlchemyError

from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.file_locks import locked
from reparam_suite.runtime.file_urls import sqlite_file, sqlite_url
from reparam_suite.tracking import foreign_tables, reason, redact, sqlite_tables

MAX_RETRIES = 2
"""How often a trial whose worker died is begun again: it may be the trial that kills."""

AWAY = (StorageInternalError, SQLAlchemyError)
"""The errors of a call while the database does not answer."""

# Signs of life that may be missing: a database that is away for some time must not make trials look dead.
_MISSED_HEARTBEATS = 6

# Seconds: between two tries while the database is away, and until workers give it up.
_PAUSE, _PATIENCE = 1.0, 600.0

_SQLITE_TIMEOUT, _CONNECT_TIMEOUT = 60, 10

_LOCK = "optuna.lock"

_DATABASES = ("sqlite", "postgresql", "mysql")

_Result = TypeVar("_Result")


def open_storage(url: str, *, heartbeat: int, root: Path) -> RDBStorage:
    """The storage at `url`, its schema made if it has none; several processes of a machine may do so at once.

    Args:
        url: of SQLAlchemy.
        heartbeat: seconds between signs of life of a trial.
        root: of the directory that has the lock, and optuna.db.

    Raises:
        UsageError: if it cannot be used; no password is in the message.
    """
    check_storage(url, root)
    file = sqlite_file(url)
    created = file is not None and not file.exists()
    with _as_usage_error(url), locked(root / _LOCK):  # two that make the tables at once break each other
        try:
            return _opened(url, heartbeat)
        except BaseException:
            if file is not None and created:
                file.unlink(missing_ok=True)
            raise


def check_storage(url: str, root: Path) -> None:
    """Refuses a storage that cannot be used; nothing is created.

    Args:
        url: of SQLAlchemy.
        root: of the directory that has the lock, which need not be there.

    Raises:
        UsageError: if it is of another kind, in memory, or another program's; or if its server lets nobody in.
    """
    try:
        _check(url, root)
    except UsageError:
        # Another process may be at making the tables.
        if not (lock := root / _LOCK).exists():
            raise
        with _as_usage_error(url), locked(lock):
            _check(url, root)


def _check(url: str, root: Path) -> None:
    accepted = "sqlite:///FILE, postgresql://... or mysql://..."
    if url.partition(":")[0].partition("+")[0] not in _DATABASES or not url.isprintable():
        raise UsageError(f"--storage: expected {accepted}, got {redact(url)}")
    file = sqlite_file(url)
    if url.startswith("sqlite") and (file is None or ":memory:" in url or "mode=memory" in url):
        raise UsageError(
            f"--storage: expected {accepted}, got {redact(url)}, which is in memory and ends with the study"
        )
    with _as_usage_error(url):
        if file is None:
            tables = _tables_of_server(url)
        else:
            tables = sqlite_tables(file)
            if not file.parent.is_dir() and file.parent.absolute() != root.absolute():
                raise FileNotFoundError(f"there is no directory {file.parent}")
        if (wrong := foreign_tables(tables, "Optuna")) is not None:
            raise UsageError(f"--storage {redact(url)}: {wrong}")


@contextmanager
def _as_usage_error(url: str) -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except (
        SQLAlchemyError,
        StorageInternalError,
        sqlite3.Error,
        OSError,
        ImportError,
        RuntimeError,
        ValueError,
    ) as error:
        raise UsageError(f"--storage {redact(url)} cannot be used: {_why(error)}") from error


def _tables_of_server(url: str) -> set[str]:
    engine = create_engine(url, connect_args={"connect_timeout": _CONNECT_TIMEOUT})
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _opened(url: str, heartbeat: int) -> RDBStorage:
    sqlite = url.startswith("sqlite:")
    # No transactions by the driver, which begins them after the read that a write depends on: two workers would be
    # given the same trial, since sqlite knows no SELECT .. FOR UPDATE.
    arguments = (
        {"timeout": _SQLITE_TIMEOUT, "isolation_level": None} if sqlite else {"connect_timeout": _CONNECT_TIMEOUT}
    )
    options: dict[str, Any] = {"connect_args": arguments, "pool_pre_ping": True}
    with unexperimental():
        storage = RDBStorage(
            url,
            engine_kwargs=options,
            heartbeat_interval=heartbeat,
            grace_period=_MISSED_HEARTBEATS * heartbeat,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES),
        )
    if sqlite:
        event.listen(storage.engine, "begin", _begin_to_write)
    return storage


def _begin_to_write(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def put_back(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Lets a trial that was stopped wait to be claimed again, with the parameters that it had."""
    with unexperimental():
        RetryHeartbeatStaleTrialCallback()(study, trial)


def _why(error: BaseException) -> str:
    # Optuna says that storage failed; the database's own words are its cause.
    while error.__cause__ is not None and not isinstance(error.__cause__, KeyError):
        error = error.__cause__
    return reason(error)


@contextmanager
def unexperimental() -> Iterator[None]:
    """Within this context Optuna does not warn of what it may change: its version is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def when_it_answers(call: Callable[[], _Result], patience: float = _PATIENCE) -> _Result:
    """The result of `call`, which is repeated while the database does not answer.

    Raises:
        StorageInternalError: or another of `AWAY`, if it does not answer for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return call()
        except AWAY:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


@final
class Heartbeat:
    """Within this context a trial gives signs of life.

    Args:
        storage: where to.
        trial_id: of the trial.
    """

    def __init__(self, storage: RDBStorage, trial_id: int) -> None:
        self._storage = storage
        self._trial_id = trial_id
        self._over = Event()
        self._thread = Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._storage.heartbeat_interval):
            try:
                self._storage.record_heartbeat(self._trial_id)
            except AWAY:
                continue  # the next one will do; the trial's own calls wait for the database


def silence() -> None:
    """Silences Optuna's line for every trial: the display has one."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def url_of(storage: str | None, root: Path) -> str:
    """The URL of a study's database for SQLAlchemy; optuna.db below `root` where none is given."""
    if storage is None:
        return sqlite_url(root / "optuna.db")
    scheme, separator, rest = storage.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme == "postgresql" else storage
