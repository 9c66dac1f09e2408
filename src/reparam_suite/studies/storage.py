"""The database of studies: made by one process, shared by many, and waited for while it does not answer."""

import fcntl
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
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking import reason, redact

MAX_RETRIES = 2
"""How often a trial whose worker died is begun again: it may be the trial that kills."""

AWAY = (StorageInternalError, SQLAlchemyError)
"""The errors of a call while the database does not answer."""

# Signs of life that may be missing: a database that is away for some time must not make trials look dead.
_MISSED_HEARTBEATS = 6

# Seconds: between two tries while the database is away, and until workers give it up.
_PAUSE, _PATIENCE = 1.0, 600.0

_SQLITE_TIMEOUT, _CONNECT_TIMEOUT = 60, 10

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
    if url.partition(":")[0].partition("+")[0] not in _DATABASES:
        accepted = "sqlite:///FILE, postgresql://... or mysql://..."
        raise UsageError(f"--storage: expected {accepted}, got {redact(url)}")
    try:
        if not url.startswith("sqlite:"):
            _check_access(url)
        root.mkdir(parents=True, exist_ok=True)
        with (root / "optuna.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two that make the tables at once break each other
            return _opened(url, heartbeat)
    except (SQLAlchemyError, StorageInternalError, OSError, ImportError, RuntimeError, ValueError) as error:
        raise UsageError(f"--storage {redact(url)} cannot be used: {_why(error)}") from error


def _check_access(url: str) -> None:
    # Before anything is made: a server that lets nobody in is the usual mistake.
    engine = create_engine(url, connect_args={"connect_timeout": _CONNECT_TIMEOUT})
    try:
        engine.connect().close()
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
        return f"sqlite:///{root}/optuna.db"
    scheme, separator, rest = storage.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme == "postgresql" else storage
