"""Opening a tracking store: what kind it is, whether it can be used, and making what is missing in it."""

import logging
import os
import socket
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from reparam_suite.runtime.file_locks import made_directories
from reparam_suite.runtime.file_urls import sqlite_file, sqlite_url
from reparam_suite.tracking import database, views
from reparam_suite.tracking.locations import Locations
from reparam_suite.tracking.mlflow_internals import directories_as_they_are, latest_revision_known
from reparam_suite.tracking.quiet import OPENING_TIMEOUT, load_mlflow, opening_timeout
from reparam_suite.tracking.reasons import as_tracking_error
from reparam_suite.tracking.settings import TrackingError, TrackingSettings, is_server
from reparam_suite.tracking.tables import foreign_tables, sqlite_tables

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306}

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Opened:
    """A store that can be recorded in.

    Args:
        client: of the store.
        experiment_id: of the experiment that gets the runs; None if that has to be made.
        locations: of files, as a database has them; None of a server, which has its own.
    """

    client: "MlflowClient"
    experiment_id: str | None
    locations: Locations | None = None


def opened(settings: TrackingSettings) -> Opened:
    """The store that settings name.

    Several processes may ask at once. Nothing is created before the checks that can fail have passed, and what was
    created is taken back if one fails all the same.

    Raises:
        TrackingError: if the kind of store is not supported, it does not answer, or `root` cannot be written.
    """
    uri = settings.resolved_uri()
    scheme = _scheme(uri)
    load_mlflow()
    if scheme == "sqlite":
        return _opened_sqlite(settings, uri)
    if is_server(uri):
        return _opened_server(settings, uri)
    return _opened_database(settings, uri, _DATABASE_PORTS[scheme])


def _scheme(uri: str) -> str:
    accepted = "sqlite:///FILE, http(s)://SERVER, postgresql://... or mysql://..."
    try:
        parts = urlsplit(uri)
        _ = parts.port  # read when it is asked for
    except ValueError as error:
        raise TrackingError(f"--tracking.uri: expected {accepted}, got {uri}: {error}") from error
    scheme = parts.scheme.split("+")[0]
    if scheme != "sqlite" and not is_server(uri) and scheme not in _DATABASE_PORTS:
        why = ", MLflow's file store, which MLflow 3.17 gave up" if scheme in ("", "file") else ""
        raise TrackingError(f"--tracking.uri: expected {accepted}, got {uri}{why}")
    return scheme


def experiment_names(settings: TrackingSettings) -> list[str]:
    """The experiments of a store that is there; nothing is created.

    Raises:
        TrackingError: if it does not answer.
    """
    uri = settings.resolved_uri()
    if (scheme := _scheme(uri)) == "sqlite":
        _check_sqlite(_sqlite_file(uri), uri)
    load_mlflow()
    from mlflow import MlflowClient

    if scheme in _DATABASE_PORTS:
        _check_database(uri, _DATABASE_PORTS[scheme])
    with opening_timeout(), as_tracking_error(f"--tracking.uri {uri} cannot be read"), directories_as_they_are():
        return sorted(experiment.name for experiment in MlflowClient(uri).search_experiments())


def _opened_sqlite(settings: TrackingSettings, uri: str) -> Opened:
    file = _sqlite_file(uri)
    _check_sqlite(file, uri)
    with _writable({"--tracking.root": settings.root, "--tracking.uri": file.parent}):
        file = file.resolve()
        lock = file.with_name(file.name + ".lock")
        return _opened_tables(settings, uri, sqlite_url(file), file=file, lock=lock)


def _sqlite_file(uri: str) -> Path:
    file = sqlite_file(uri)
    if file is None or not uri.startswith("sqlite:///"):
        raise TrackingError(f"--tracking.uri: expected sqlite:///FILE, got {uri}")
    return file


def _check_sqlite(file: Path, uri: str) -> None:
    with as_tracking_error(f"--tracking.uri {uri} is no sqlite database that can be written"):
        if file.exists():
            database.check_sqlite_file(file)
        _check_tables(sqlite_tables(file), uri)


def _check_tables(tables: Collection[str], uri: str) -> None:
    if (wrong := foreign_tables(tables, "MLflow")) is not None:
        raise TrackingError(f"--tracking.uri {uri}: {wrong}")


def _opened_database(settings: TrackingSettings, uri: str, port: int) -> Opened:
    _check_database(uri, port)
    with _writable({"--tracking.root": settings.root}):
        return _opened_tables(settings, uri, uri, file=None, lock=settings.root / "database.lock")


def _check_database(uri: str, port: int) -> None:
    parts = urlsplit(uri)
    with as_tracking_error(f"--tracking.uri {uri} does not answer"):
        socket.create_connection((parts.hostname or "localhost", parts.port or port), OPENING_TIMEOUT).close()
    with as_tracking_error(f"--tracking.uri {uri} cannot be used"):
        _check_tables(database.tables_of_server(uri), uri)


def _opened_tables(settings: TrackingSettings, uri: str, absolute: str, *, file: Path | None, lock: Path) -> Opened:
    from mlflow import MlflowClient

    with (
        as_tracking_error(f"--tracking.uri {uri} cannot be used"),
        directories_as_they_are(),
        latest_revision_known(),
        database.prepared(absolute, file=file, lock=lock, artifact_location=artifact_location(settings)),
    ):
        client = MlflowClient(absolute)
        locations = Locations(client, (settings.root / "artifacts").resolve(), file)
        if (moved := locations.follow()) is not None:
            _log.warning("%s", moved)
        return Opened(client, existing_experiment(client, settings.experiment), locations)


def _opened_server(settings: TrackingSettings, uri: str) -> Opened:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    with opening_timeout(), as_tracking_error(f"--tracking.uri {uri} does not answer as an MLflow server"):
        experiment = existing_experiment(client, settings.experiment)
    with _writable({"--tracking.root": settings.root}):  # for what the server does not take at once
        return Opened(client, experiment)


def artifact_location(settings: TrackingSettings) -> str:
    """Where the artifacts of a new experiment are stored, as a URL; a server decides that itself."""
    return (settings.root / "artifacts").resolve().as_uri()


def created_experiment(client: "MlflowClient", settings: TrackingSettings) -> str:
    """The id of an experiment that did not exist when the store was opened; another process may make it at once.

    Raises:
        TrackingError: if it cannot be made.
    """
    from mlflow.exceptions import MlflowException

    uri, name = settings.resolved_uri(), settings.experiment
    with as_tracking_error(f"--tracking.uri {uri} cannot be used"):
        try:
            location = None if is_server(uri) else artifact_location(settings)
            made = str(client.create_experiment(name, location, tags=views.tags(views.STANDARD)))
            client.set_experiment_tag(made, "mlflow.note.content", views.description(made))
            return made
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or (found := existing_experiment(client, name)) is None:
                raise
            return found


def existing_experiment(client: "MlflowClient", name: str) -> str | None:
    """The id of an experiment; None if it does not exist.

    Raises:
        TrackingError: if it was deleted.
    """
    if (experiment := client.get_experiment_by_name(name)) is None:
        return None
    if experiment.lifecycle_stage != "active":
        raise TrackingError(f"--tracking.experiment {name} was deleted in MLflow; restore it or name another")
    return str(experiment.experiment_id)


@contextmanager
def _writable(directories: Mapping[str, Path]) -> Iterator[None]:
    """Makes directories, by option, and a file in each for a moment; takes back what it made if anything fails.

    What a run keeps below the first of them is looked at as well: a file in its place would stop the run in the middle.
    """
    with ExitStack() as made:
        for option, directory in directories.items():
            try:
                made.enter_context(made_directories(directory))
                with tempfile.TemporaryFile(dir=directory):
                    pass
            except OSError as error:
                why = error.strerror or str(error)
                raise TrackingError(f"{option}: the directory {directory} cannot be written: {why}") from error
        root = next(iter(directories.values()))
        for path in (root / name for name in ("artifacts", "checkpoints", "spool")):
            if os.path.lexists(path):
                _check_directory(path)
        yield


def _check_directory(path: Path) -> None:
    if not path.is_dir():
        raise TrackingError(f"--tracking.root: expected a directory {path}, got a file of this name")
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise TrackingError(f"--tracking.root: {path} cannot be written: {error.strerror or error}") from error
