"""Loggers that a run writes to beside MLflow."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from lightning.pytorch.loggers import Logger

from reparam_suite.runtime.errors import ArgumentTypeError, SuiteError, UsageError
from reparam_suite.runtime.plain_data import Described
from reparam_suite.tracking import LoggerOfRun, RunLogger
from reparam_suite.training import FurtherLogger


def made_loggers(given: Sequence[Any]) -> list[Logger | LoggerOfRun]:
    """The loggers that a run is given, those made that are described.

    Raises:
        TypeError: if one is no logger.
        UsageError: if one cannot be made, since its package is not installed say.
    """
    loggers = [_made(each) if isinstance(each, Described) else each for each in given]
    for logger in loggers:
        if not isinstance(logger, Logger | LoggerOfRun):
            raise ArgumentTypeError(f"loggers: expected loggers of Lightning's or the suite's, got {logger!r:.100}")
    return loggers


def further_loggers(loggers: Sequence[Logger | LoggerOfRun], run: RunLogger) -> list[FurtherLogger]:
    """The loggers of a run that is on record."""
    return [_further(logger, run) for logger in loggers]


def _made(described: Described) -> Any:
    try:
        return described()
    except SuiteError:
        raise
    except Exception as error:  # whatever a logger of others makes of its arguments
        name = str(described.description["class_path"]).rpartition(".")[2]
        raise UsageError(f"loggers: {name}: {' '.join(str(error).split())[:300]}") from error


def _further(logger: Logger | LoggerOfRun, run: RunLogger) -> FurtherLogger:
    label = type(logger).__name__
    if isinstance(logger, Logger):
        return FurtherLogger(lambda: logger, label=label)

    def known() -> Collection[tuple[str, int]]:
        return run.recorded if logger.has(run) else ()

    return FurtherLogger(partial(logger.of, run), label=label, known=known)
