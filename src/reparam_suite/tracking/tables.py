"""Which program a database belongs to, by its tables: MLflow and Optuna put theirs into any that they are given."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Literal

Owner = Literal["MLflow", "Optuna"]

_TABLES: dict[Owner, frozenset[str]] = {
    "MLflow": frozenset({"alembic_version", "experiments", "runs", "metrics", "params", "tags"}),
    "Optuna": frozenset({"alembic_version", "studies", "trials", "version_info"}),
}

_SHOWN = 5


def foreign_tables(tables: Collection[str], owner: Owner) -> str | None:
    """The reason why a database with tables that are not its owner's cannot be used; None if it can.

    >>> foreign_tables({"poems"}, "MLflow")
    'expected a database of MLflow or an empty one, got one with the tables poems'

    Args:
        tables: the names of those that are there; who owns a database without any makes them.
        owner: who is going to use it.
    """
    # A creation that was interrupted has left the first table that is made.
    if _TABLES[owner] <= set(tables) or set(tables) <= {"alembic_version"}:
        return None
    others = [name for name, those in _TABLES.items() if those <= set(tables)]
    shown = ", ".join(sorted(tables)[:_SHOWN]) + " ..." * (len(tables) > _SHOWN)
    got = f"one of {others[0]}" if others else f"one with the tables {shown}"
    return f"expected a database of {owner} or an empty one, got {got}"


def sqlite_tables(file: Path) -> set[str]:
    """The names of the tables of a sqlite file, which is only read; none of a file that is not there or is empty.

    Raises:
        sqlite3.Error: if it is no sqlite database.
    """
    if not file.exists() or (file.is_file() and file.stat().st_size == 0):
        return set()
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in found if not name.startswith("sqlite_")}
