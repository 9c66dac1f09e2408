"""The schema of a tracking database, which MLflow's migrations take 2 s to make: made once, and copied."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

first: Path | None = None
"""The database that others begin as copies of; None until a session has a place for it."""


@contextmanager
def made_once(database: Path) -> Iterator[None]:
    """Inside, a tracking database in a file begins as a copy of `database`, which is the first one that is made."""
    from reparam_suite.tracking import database as module

    migrate = module.initialize_tables

    def initialize_tables(engine: Any) -> None:
        if engine.dialect.name != "sqlite":
            migrate(engine)
            return
        made = Path(engine.url.database)
        if database.exists():
            shutil.copyfile(database, made)
            return
        migrate(engine)
        with tempfile.NamedTemporaryFile(dir=database.parent, delete=False) as whole:  # two processes may be first
            shutil.copyfile(made, whole.name)
        os.replace(whole.name, database)

    with mock.patch.object(module, "initialize_tables", initialize_tables):
        yield
