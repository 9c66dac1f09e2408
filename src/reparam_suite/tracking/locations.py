"""Where a database says that files are: places of runs and models, which follow the root directory when it moves."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from reparam_suite.tracking.mlflow_internals import backend

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

_FOLDER = "artifacts"
"""The name of the directory below a root, of that below a run's, and of that below a model's."""


def local_directory(uri: str) -> Path | None:
    """The directory that an artifact URI names on this machine, or None."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(uri)


@final
@dataclass(frozen=True)
class Locations:
    """The directory of all artifacts, and a database that may say that they are elsewhere.

    Args:
        client: of the database.
        directory: `root`/artifacts, without links.
        database: the SQLite file, without links; None for a database server.
    """

    client: "MlflowClient"
    directory: Path
    database: Path | None

    def follow(self) -> str | None:
        """Rewrites the locations of what has moved with the root, or was copied with it; says so in a line.

        A run's files, or a model's, have moved if they are below the directory and no longer where the database says.
        A SQLite file below the root belongs to it: then they have moved, too, if they are at both places (a copy) or
        at neither (a run without files).
        """
        from mlflow.store.tracking.dbmodels.models import SqlRun

        moved = list(self._moved())
        for column, key, _, new in moved:
            self._rewrite(column, key, new)
        runs = [(old, new) for column, _, old, new in moved if column.class_ is SqlRun]
        if not runs:
            return None
        before = dict.fromkeys(str(old.parents[len(new.relative_to(self.directory).parts) - 1]) for old, new in runs)
        return (
            f"{self.directory.parent} was moved or copied: the artifacts of {len(runs)} run{'s' * (len(runs) > 1)}, "
            f"recorded in {', '.join(before)}, are now expected in {self.directory}"
        )

    def of_run(self, run: "Run", *, new: bool) -> "Run":
        """The run, with its files below the directory if it is new, or has none elsewhere."""
        from mlflow.store.tracking.dbmodels.models import SqlRun

        old = local_directory(run.info.artifact_uri)
        if old is None or self._is_below(old) or (not new and os.path.exists(old)):
            return run
        self._rewrite(SqlRun.artifact_uri, run.info.run_id, self.directory / run.info.run_id / _FOLDER)
        return self.client.get_run(run.info.run_id)

    def of_model(self, model: "LoggedModel") -> "LoggedModel":
        """A new model, with its files below the directory."""
        from mlflow.store.tracking.dbmodels.models import SqlLoggedModel

        old = local_directory(model.artifact_location)
        if old is None or self._is_below(old) or os.path.exists(old):
            return model
        place = self.directory / "models" / model.model_id / _FOLDER
        self._rewrite(SqlLoggedModel.artifact_location, model.model_id, place)
        return self.client.get_logged_model(model.model_id)

    def _moved(self) -> Iterator[tuple[Any, Any, Path, Path]]:
        # Column, primary key, the place before and the place now.
        from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun

        here = self.directory.as_uri()
        columns: Any = (SqlExperiment.artifact_location, SqlRun.artifact_uri, SqlLoggedModel.artifact_location)
        for column in columns:
            elsewhere = (column != here) & ~column.startswith(f"{here}/", autoescape=True)
            with backend(self.client).ManagedSessionMaker(read_only=True) as session:
                found = session.query(*column.class_.__mapper__.primary_key, column).filter(elsewhere).all()
            of_experiment = column.class_ is SqlExperiment
            for key, location in found:
                old = local_directory(location)
                tail = None if old is None else _below(old, of_experiment=of_experiment)
                if old is None or tail is None:
                    continue
                if self._has_moved(old, self.directory / tail, of_experiment=of_experiment):
                    yield column, key, old, self.directory / tail

    def _rewrite(self, column: Any, key: Any, place: Path) -> None:
        table = column.class_
        (identity,) = table.__mapper__.primary_key
        with backend(self.client).ManagedSessionMaker(read_only=False) as session:
            session.query(table).filter(identity == key).update({column.key: place.as_uri()})

    def _is_below(self, path: Path) -> bool:
        return path.is_relative_to(self.directory) or any(_same(parent, self.directory) for parent in path.parents)

    def _has_moved(self, old: Path, new: Path, *, of_experiment: bool) -> bool:
        here, there = os.path.exists(new), os.path.exists(old)
        belongs = self.database is not None and self.database.is_relative_to(self.directory.parent)
        if of_experiment:  # of a file, one machine's; where new runs are stored
            moved = belongs or (self.database is not None and not there)
        else:
            moved = here and belongs if there else here or belongs
        return moved and not _same(old, new)


def _below(location: Path, *, of_experiment: bool) -> Path | None:
    """RUN/artifacts of ROOT/artifacts/RUN/artifacts; None of a place that the suite has not made."""
    parts = location.parts if of_experiment else location.parts[:-1]
    found = [index for index, part in enumerate(parts) if part == _FOLDER]
    return Path(*location.parts[found[-1] + 1 :]) if found else None


def _same(one: Path, other: Path) -> bool:
    try:
        return one == other or os.path.samefile(one, other)
    except OSError:
        return False
