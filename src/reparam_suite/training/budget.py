"""The share of training time that measurements along training may take."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from lightning.pytorch import Trainer

_log = logging.getLogger(__name__)

SHARE = 0.25
"""Seconds of measuring per second of training."""

FREE_SECONDS = 10.0
"""Seconds of measuring that a run has in any case: a short run is measured wherever it is due."""


@final
class MeasuringBudget:
    """Measurements take at most `FREE_SECONDS` and `SHARE` of the time that training has taken.

    The first and the last measurement of a run are not asked for. One that is due in between is left out where it
    would exceed the budget, judged by the longest measurement so far; the first time, a line on the log says so.

    What is left out depends on the clock, so that two runs of the same seed, or a run and its resumed twin, may have
    different steps measured. The training itself is bitwise identical, since a measurement changes nothing of it.

    Args:
        what: that is measured, for the log.
        share: seconds of measuring per second of training.
        free_seconds: of measuring in any case.
    """

    def __init__(self, what: str, *, share: float = SHARE, free_seconds: float = FREE_SECONDS) -> None:
        self._what = what
        self._share = share
        self._free_seconds = free_seconds
        self._spent = self._longest = 0.0
        self._said = False

    def state_dict(self) -> dict[str, Any]:
        """What was spent so far."""
        return {"spent": self._spent, "longest": self._longest, "said": self._said}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state."""
        self._spent, self._longest, self._said = state_dict["spent"], state_dict["longest"], state_dict["said"]

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Counts the time within as spent."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._spent += seconds
            self._longest = max(self._longest, seconds)

    @property
    def spent(self) -> float:
        """Seconds of measuring so far."""
        return self._spent

    def affords(self, trainer: Trainer, trained_seconds: float) -> bool:
        """Whether another measurement fits; all processes get the same answer, and all have to ask."""
        allowed = self._free_seconds + self._share * trained_seconds
        fits: bool = trainer.strategy.reduce_boolean_decision(self._spent + self._longest <= allowed, all=True)
        if not fits and not self._said:
            self._said = True
            if trainer.is_global_zero:
                _log.warning(
                    "measuring %s takes %.3g s at a time: from step %d on it is done less often than asked for, to stay "
                    "within %.0f %% of the time of training",
                    self._what,
                    self._longest,
                    trainer.global_step,
                    100.0 * self._share,
                )
        return fits
