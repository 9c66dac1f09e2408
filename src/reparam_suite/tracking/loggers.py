"""Loggers of other programs that find their place by the run: made once it has begun."""

import importlib.util
from abc import ABC, abstractmethod

from lightning.pytorch.loggers import Logger

from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking.run_logger import RunLogger


class LoggerOfRun(ABC):
    """A logger beside the run's own record, made once the run has an id, by which it finds its place again."""

    @abstractmethod
    def of(self, run: RunLogger) -> Logger:
        """The logger that writes the numbers of `run`."""

    @abstractmethod
    def has(self, run: RunLogger) -> bool:
        """Whether it has numbers of an earlier process of `run`."""


def require(package: str, cls: type[LoggerOfRun], extra: str) -> None:
    """Refuses a logger whose package is not installed.

    Raises:
        UsageError: with the line that installs it.
    """
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"loggers: {cls.__name__} needs {package}; to have it: pip install 'reparam_suite[{extra}]'")
