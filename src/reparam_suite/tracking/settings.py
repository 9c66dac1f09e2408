"""The store that runs are recorded in, and the one error of this package."""

import os
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import final

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.runtime.file_urls import sqlite_file, sqlite_url
from reparam_suite.tracking.redaction import redact

LONGEST_NAME = 250
"""Characters of an experiment's name: what the databases of MLflow and Optuna both keep whole."""

# Bytes of a name and of a path that Linux takes, the latter less what a run adds to its root.
_LONGEST_PART, _LONGEST_ROOT = 255, 3_800


@final
class TrackingError(RuntimeError):
    """The tracking store cannot be used. The message is one line and holds no password."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(" ".join(message.split())))


@final
@dataclass(frozen=True)
class TrackingSettings:
    """The store that runs are recorded in.

    Args:
        uri: MLflow's tracking store: `sqlite:///FILE`, `http(s)://SERVER` or the URL of a PostgreSQL or MySQL
            database. Without it $MLFLOW_TRACKING_URI, else `sqlite:///ROOT/mlflow.db`.
        experiment: the MLflow experiment that gets the runs; created if absent.
        root: directory of everything that a run leaves on this machine. It may be moved or copied as a whole: files
            are looked for below the root that is given, and what a database in it says is rewritten.

    Raises:
        TypeError: if the root is no path.
        ValueError: if `experiment` is blank, too long or cannot be printed, or no directory can be called `root`.
    """

    uri: str | None = None
    experiment: str = "reparam_suite"
    root: Path = Path("mlruns")

    def __post_init__(self) -> None:
        if not isinstance(self.root, str | os.PathLike):
            raise TypeError(f"tracking.root: expected a path, got {self.root!r}")
        object.__setattr__(self, "root", Path(self.root))
        checks.name("tracking.experiment", self.experiment, most=LONGEST_NAME)
        parts, whole = map(os.fsencode, self.root.parts), os.fsencode(self.root.absolute())
        if b"\0" in whole or len(whole) > _LONGEST_ROOT or any(len(part) > _LONGEST_PART for part in parts):
            raise ArgumentValueError(
                f"tracking.root: expected a path of at most {_LONGEST_ROOT:,} bytes whose names have at most "
                f"{_LONGEST_PART}, got {self.root}"
            )

    def resolved_uri(self) -> str:
        """The URI that is meant, a relative path in it still relative."""
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI") or sqlite_url(self.root / "mlflow.db")

    def sync_command(self) -> str:
        """The command that delivers what these settings' store has not taken; without the password of a URI."""
        return f"python -m reparam_suite.sync{self._options()}"

    def ui_command(self) -> str:
        """The command that opens MLflow's page on these settings' store; without the password of a URI."""
        return f"python -m reparam_suite.ui{self._options()}"

    def resume_command(self, run_id: str) -> str:
        """The command that resumes a run, to be typed in this directory; without the password of a URI."""
        return f"python -m reparam_suite.fit --resume {run_id}{self._options()}"

    def _options(self) -> str:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return "".join(
            f" --tracking.{field.name} {shlex.quote(redact(str(given[field.name])))}"
            for field in fields(self)
            if given[field.name] != field.default
        )

    def missing_file(self) -> Path | None:
        """The file of a SQLite store that does not exist yet; None if the store is there, or on a server."""
        file = sqlite_file(self.resolved_uri())
        return file if file is not None and not os.path.exists(file) else None

    @property
    def shown_uri(self) -> str:
        """The URI that is meant, without password."""
        return redact(self.resolved_uri())


def is_server(uri: str) -> bool:
    """Whether a store's URI is that of an MLflow server."""
    return uri.partition("://")[0].lower() in ("http", "https")
