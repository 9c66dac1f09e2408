"""URLs of sqlite files: made from paths, and back."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

_PREFIX = "sqlite:///"

# What would end the path, or be taken for a quoted character.
_SPECIAL = re.compile("[%?#]")


def sqlite_url(file: Path) -> str:
    """The URL of a sqlite file, for SQLAlchemy, MLflow and Optuna.

    >>> sqlite_url(Path("50%/runs.db"))
    'sqlite:///50%25/runs.db'
    """
    return _PREFIX + _SPECIAL.sub(lambda found: quote(found[0]), str(file))


def sqlite_file(url: str) -> Path | None:
    """The file that a URL names; None if it is of something else, or of a database in memory.

    >>> sqlite_file("sqlite:///50%25/runs.db?timeout=3")
    PosixPath('50%/runs.db')
    """
    scheme, _, _ = url.partition(":")
    if scheme.partition("+")[0] != "sqlite" or "///" not in url:
        return None
    path = unquote(url.partition("///")[2].partition("?")[0])
    return None if Path(path).name in ("", ":memory:") else Path(path)
