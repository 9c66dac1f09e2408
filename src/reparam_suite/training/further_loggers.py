"""Loggers beside the run's own record, whose errors end no training."""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, final

from lightning.pytorch.loggers import Logger

from reparam_suite.training.metrics_file import Curves

_log = logging.getLogger(__name__)


@final
class FurtherLogger(Logger):
    """A logger that gets every number that the journal gets, at its step, and the run's parameters.

    What it raises is said once, and training continues: the next number is tried again, unless it could not be made.
    From Lightning, which would add numbers at steps of its own, it takes nothing: what is logged through Lightning
    comes by the journal. Callbacks find it in `trainer.loggers`, and what it writes with in `experiment`.

    Args:
        make: makes it, when the first thing is to be written.
        label: by which an error is told.
        known: returns the names and steps that it has from an earlier process of the run, and does not get again.
    """

    def __init__(
        self, make: Callable[[], Logger], *, label: str, known: Callable[[], Collection[tuple[str, int]]] = frozenset
    ) -> None:
        self._make = make
        self._label = label
        self._ask_known = known
        self._known: Collection[tuple[str, int]] = ()
        self._logger: Logger | None = None
        self._is_lost = self._has_failed = False

    @property
    def experiment(self) -> Any:
        """The object that it writes with, TensorBoard's SummaryWriter say; None if there is none."""
        return getattr(self._logger, "experiment", None)

    @property
    def name(self) -> str | None:
        """The logger's name for the experiment."""
        return None if self._logger is None else self._logger.name

    @property
    def version(self) -> int | str | None:
        """The logger's name for the run."""
        return None if self._logger is None else self._logger.version

    def begin(self, parameters: Mapping[str, Any], curves: Curves) -> None:
        """Hands over the parameters of the run, and the numbers of before that it does not have."""
        self._try(lambda logger: logger.log_hyperparams(dict(parameters)))
        by_step: dict[int, dict[str, float]] = {}
        for name, curve in curves.items():
            for step, value in curve:
                by_step.setdefault(step, {})[name] = value
        for step in sorted(by_step):
            self.record(by_step[step], step)

    def record(self, metrics: Mapping[str, float], step: int) -> None:
        """Hands numbers over, those that it has excepted, and has it write them."""
        new = {name: value for name, value in metrics.items() if (name, step) not in self._known}
        if new:

            def write(logger: Logger) -> None:
                logger.log_metrics(new, step)
                logger.save()

            self._try(write)

    def end(self, status: str) -> None:
        """Tells it how the run has ended."""
        if self._logger is not None:
            self._try(lambda logger: logger.finalize(status))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Takes nothing from Lightning."""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Takes nothing from Lightning."""

    def _try(self, call: Callable[[Logger], object]) -> None:
        if self._is_lost:
            return
        try:
            if self._logger is None:
                self._is_lost = True
                self._known, self._logger = self._ask_known(), self._make()
                self._is_lost = False
            call(self._logger)
        except Exception as error:  # noqa: BLE001 - whatever a logger of others raises
            if not self._has_failed:
                self._has_failed = True
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                _log.warning("logger %s: %s; the run continues, and its own record has everything", self._label, reason)
