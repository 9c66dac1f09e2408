"""Opening a tracking store: what kind it is, whether it can be used, and making what is missing in it."""

import logging
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from reparam_suite.tracking import database, views
from reparam_suite.tracking.locations import Locations
from reparam_suite.tracking.quiet import OPENING_TIMEOUT, load_mlflow, opening_timeout
from reparam_suite.tracking.reasons import as_tracking_error
from reparam_suite.tracking.settings import TrackingError, TrackingSettings, is_server

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
        experiment_id: of the experiment that gets the runs.
        locations: of files, as a database has them; None of a server, which has its own.
    """

    client: "MlflowClient"
    experiment_id: str
    locations: Locations | None = None


def opened(settings: TrackingSettings) -> Opened:
    """The store that settings name.

    Several processes may ask at once. Nothing is created before the checks that can fail have passed.

    Raises:
        TrackingError: if the kind of store is not supported, it does not answer, or `root` cannot be written.
    """
    uri = settings.resolved_uri()
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme != "sqlite" and not is_server(uri) and scheme not in _DATABASE_PORTS:
        why = ", MLflow's file store, which MLflow 3.17 gave up" if scheme in ("", "file") else ""
        raise TrackingError(
            "--tracking.uri: expected sqlite:///FILE, http(s)://SERVER, postgresql://... or mysql://..., "
            f"got {uri}{why}"
        )
    load_mlflow()
    if scheme == "sqlite":
        return _opened_sqlite(settings, uri)
    if is_server(uri):
        return _opened_server(settings, uri)
    return _opened_database(settings, uri, _DATABASE_PORTS[scheme])


def experiment_names(settings: TrackingSettings) -> list[str]:
    """The experiments of a store that is there; nothing is created.

    Raises:
        TrackingError: if it does not answer.
    """
    load_mlflow()
    from mlflow import MlflowClient

    uri = settings.resolved_uri()
    with opening_timeout(), as_tracking_error(f"--tracking.uri {uri} cannot be read"):
        return sorted(experiment.name for experiment in MlflowClient(uri).search_experiments())


def _opened_sqlite(settings: TrackingSettings, uri: str) -> Opened:
    file = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or file.name in ("", ":memory:"):
        raise TrackingError(f"--tracking.uri: expected sqlite:///FILE, got {uri}")
    if file.exists():
        with as_tracking_error(f"--tracking.uri {uri} is no sqlite database that can be written"):
            database.check_sqlite_file(file)
    _check_writable({"--tracking.root": settings.root, "--tracking.uri": file.parent})
    file = file.resolve()
    lock = file.with_name(file.name + ".lock")
    return _opened_tables(settings, uri, f"sqlite:///{file}", sqlite_file=file, lock_file=lock)


def _opened_database(settings: TrackingSettings, uri: str, port: int) -> Opened:
    parts = urlsplit(uri)
    with as_tracking_error(f"--tracking.uri {uri} does not answer"):
        socket.create_connection((parts.hostname or "localhost", parts.port or port), OPENING_TIMEOUT).close()
    with as_tracking_error(f"--tracking.uri {uri} cannot be used"):
        database.check_access(uri)
    _check_writable({"--tracking.root": settings.root})
    return _opened_tables(settings, uri, uri, sqlite_file=None, lock_file=settings.root / "database.lock")


def _opened_tables(
    settings: TrackingSettings, uri: str, absolute: str, *, sqlite_file: Path | None, lock_file: Path
) -> Opened:
    from mlflow import MlflowClient

    directory = (settings.root / "artifacts").resolve()
    artifacts = directory.as_uri()
    with as_tracking_error(f"--tracking.uri {uri} cannot be used"):
        database.prepare(absolute, sqlite_file=sqlite_file, lock_file=lock_file, artifact_location=artifacts)
        client = MlflowClient(absolute)
        locations = Locations(client, directory, sqlite_file)
        if (moved := locations.follow()) is not None:
            _log.warning("%s", moved)
        return Opened(client, _experiment(client, settings.experiment, artifacts), locations)


def _opened_server(settings: TrackingSettings, uri: str) -> Opened:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    with opening_timeout(), as_tracking_error(f"--tracking.uri {uri} does not answer as an MLflow server"):
        client.get_experiment_by_name(settings.experiment)
    _check_writable({"--tracking.root": settings.root})  # for what the server does not take at once
    with as_tracking_error(f"--tracking.uri {uri} cannot be used"):
        return Opened(client, _experiment(client, settings.experiment, None))


def _experiment(client: "MlflowClient", name: str, artifact_location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            made = str(client.create_experiment(name, artifact_location, tags=views.tags(views.STANDARD)))
            client.set_experiment_tag(made, "mlflow.note.content", views.description(made))
            return made
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)  # another process was faster
    if experiment is None or experiment.lifecycle_stage != "active":
        raise TrackingError(f"--tracking.experiment {name} was deleted in MLflow; restore it or name another")
    return str(experiment.experiment_id)


def _check_writable(directories: Mapping[str, Path]) -> None:
    """Creates directories, by option, and a file in each for a moment; takes back what it made if one fails."""
    made: list[Path] = []
    for option, directory in directories.items():
        made += reversed([path for path in (directory, *directory.parents) if not path.exists()])
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            for path in reversed(made):
                with suppress(OSError):
                    path.rmdir()
            why = error.strerror or str(error)
            raise TrackingError(f"{option}: the directory {directory} cannot be written: {why}") from error
