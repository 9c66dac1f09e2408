"""Why a store failed, in a few words for people."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from reparam_suite.tracking.redaction import redact
from reparam_suite.tracking.settings import TrackingError

# The system's own words, which libraries bury: HTTPConnectionPool(...): Max retries exceeded ... [Errno 111] ...
_ERRNO = re.compile(r"\[Errno -?\d+\] ([^'\")\]\n]+)")
_CAUSE = re.compile(r"Caused by .*'([^']+)'")
_TIMEOUT = re.compile(r"[Rr]ead timed out|[Cc]onnection to \S+ timed out")
_LONGEST = 300


def reason(error: BaseException) -> str:
    """One line without secrets.

    >>> reason(OSError("Max retries exceeded (Caused by Error('[Errno 111] Connection refused'))"))
    'Connection refused'
    """
    text = redact(str(error))
    if found := _ERRNO.search(text):
        return found[1].strip()
    if _TIMEOUT.search(text):
        return "no answer in time"
    if found := _CAUSE.search(text):
        return found[1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:_LONGEST] if lines else type(error).__name__


@contextmanager
def as_tracking_error(message: str) -> Iterator[None]:
    """Failures of a store, of whichever library, as one line: the message and the reason."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        raise TrackingError(f"{message}: {reason(error)}") from error
