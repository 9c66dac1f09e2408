"""Private names of MLflow that tracking relies on, each with the reason why no public one will do.

`tests/tracking/test_mlflow_internals.py` fails when one of them is gone or means something else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def backend(client: "MlflowClient") -> Any:
    """The store behind a client: it has the database session, or the server's credentials.

    The public client asks for the history of one metric of one run at a time, ten times as slow.
    """
    return client._tracking_client.store


def last_metric_time(run: "Run") -> int | None:
    """The time of the newest metric of a run, in milliseconds; None without metrics. `run.data.metrics` has values."""
    return max((metric.timestamp for metric in run.data._metric_objs), default=None)


def initialize_tables(engine: Any) -> None:
    """Creates MLflow's tables in an empty database. Its public functions do so in every process that opens a store."""
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(engine)


def schema_revisions(engine: Any) -> tuple[str | None, str]:
    """The revision of a database's tables, None without any, and the latest one; public is only the command line."""
    from mlflow.store.db.utils import _get_schema_version

    return _get_schema_version(engine), _latest_revision()


@cache
def _latest_revision() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    revision: str = _get_latest_schema_revision()
    return revision


@contextmanager
def latest_revision_known() -> Iterator[None]:
    """Within this context MLflow does not look for the latest revision of its tables.

    It executes the files of all revisions for that, twice for each store that is opened.
    """
    from mlflow.store.db import utils

    latest = _latest_revision()
    before = utils._get_latest_schema_revision
    utils._get_latest_schema_revision = lambda: latest
    try:
        yield
    finally:
        utils._get_latest_schema_revision = before


def is_known_revision(revision: str) -> bool:
    """Whether this MLflow has, or comes after, the revision of a database's tables; there is no public list."""
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from mlflow.store.db.utils import _get_alembic_config

    try:
        ScriptDirectory.from_config(_get_alembic_config(db_url="")).get_revision(revision)
    except CommandError:
        return False
    return True


def upgrade_tables(engine: Any) -> None:
    """Brings the tables of a database to the latest revision, as `mlflow db upgrade` does."""
    from mlflow.store.db.utils import _upgrade_db

    _upgrade_db(engine)


@contextmanager
def directories_as_they_are() -> Iterator[None]:
    """Within this context MLflow makes no directory for the file of a sqlite URL.

    It takes the URL's path as it is written: beside a directory `what?` it makes another one, `what%3F`.
    """
    from mlflow.store.db import utils

    before = utils._make_parent_dirs_if_sqlite
    utils._make_parent_dirs_if_sqlite = lambda db_uri: None  # noqa: ARG005
    try:
        yield
    finally:
        utils._make_parent_dirs_if_sqlite = before


@contextmanager
def unlisted_packages() -> Iterator[None]:
    """Within this context MLflow takes modules for packages of the same name.

    It compares the requirements of a saved model with what is installed, and lists all files of all packages to learn
    which modules each has: a second or more, for packages whose modules are called as they are.
    """
    from mlflow.utils import requirements_utils

    before: Any = requirements_utils._MODULES_TO_PACKAGES
    nothing: Any = {}
    requirements_utils._MODULES_TO_PACKAGES = nothing
    try:
        yield
    finally:
        requirements_utils._MODULES_TO_PACKAGES = before
