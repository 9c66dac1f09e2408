"""MLflow made quiet: no telemetry, no progress messages, bounded waits."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from reparam_suite.runtime.collection import paused_collection

# Seconds within which a store must answer when it is opened.
OPENING_TIMEOUT = 5

_DEFAULTS = {
    # Without these a call to a dead server blocks for four minutes (seven retries with backoff). The writer thread
    # has retries of its own, and a run must be able to end.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # Its bars would write over ours.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # An archive of torch.export is read with pickles in it, unless this makes MLflow look for them first.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
_REQUIRED = {
    # No telemetry, nothing leaves the machine. MLflow reads it when it is imported.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The link that it prints at the end of a run has the password of the URI.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Jitter is drawn from Python's global generator: the writer thread would change the training's random numbers.
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}


def load_mlflow() -> None:
    """Imports MLflow with everything set that it reads at its import."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ.update(_REQUIRED)

    with paused_collection():
        import mlflow  # noqa: F401

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        # Below these levels MLflow logs progress (migrations), and errors that it also raises.
        for logger in ("mlflow", "alembic"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)


@contextmanager
def opening_timeout() -> Iterator[None]:
    """Calls inside wait for the server `OPENING_TIMEOUT` seconds at most. MLflow knows the environment only."""
    before = os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]
    retries = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(OPENING_TIMEOUT)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        yield
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = before
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = retries
