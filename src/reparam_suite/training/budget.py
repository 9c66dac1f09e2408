"""The share of a run's time that measurements along training may take."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from lightning.pytorch import Trainer

_log = logging.getLogger(__name__)

SHARE = 0.25
"""Seconds of measuring per second of the rest of the run."""

FREE_SECONDS = 10.0
"""Seconds of measuring that a run has in any case: a short run is measured wherever it is due."""


@final
class MeasuringBudget:
    """Measurements take at most `FREE_SECONDS`, and `SHARE` of the time that the rest of the run has taken.

    The first and the last measurement of a run are not asked for. One that is due in between is left out where it
    would exceed the budget, judged by the longest measurement so far; the first time, a line on the log says so. The
    clock is the processor time of this process, which other programs leave alone, and on a GPU the time of day.

    What is left out depends on the clock, so that two runs of the same seed, or a run and its resumed twin, may have
    different steps measured. The training itself is bitwise identical, since a measurement changes nothing of it.

    Args:
        what: that is measured, for the log.
        share: seconds of measuring per second of the rest of the run.
        free_seconds: of measuring in any case.
    """

    def __init__(self, what: str, *, share: float = SHARE, free_seconds: float = FREE_SECONDS) -> None:
        self._what = what
        self._share = share
        self._free_seconds = free_seconds
        self._spent = self._longest = self._rest = 0.0
        self._clock = time.process_time
        self._since = self._clock()
        self._said = False

    def state_dict(self) -> dict[str, Any]:
        """The times so far."""
        return {"spent": self._spent, "longest": self._longest, "rest": self._rest_so_far(), "said": self._said}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state."""
        self._spent, self._longest, self._rest = (state_dict[name] for name in ("spent", "longest", "rest"))
        self._said = state_dict["said"]
        self._since = self._clock()

    def begin(self, device: torch.device) -> None:
        """Starts the clock, at the start of training."""
        self._clock = time.process_time if device.type == "cpu" else time.perf_counter
        self._since = self._clock()

    def _rest_so_far(self) -> float:
        return self._rest + self._clock() - self._since

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Counts the time within as spent."""
        start = self._clock()
        self._rest += start - self._since
        try:
            yield
        finally:
            self._since = self._clock()
            seconds = self._since - start
            self._spent += seconds
            self._longest = max(self._longest, seconds)

    def affords(self, trainer: Trainer) -> bool:
        """Whether another measurement fits; all processes get the same answer, and all have to ask."""
        allowed = self._free_seconds + self._share * self._rest_so_far()
        fits: bool = trainer.strategy.reduce_boolean_decision(self._spent + self._longest <= allowed, all=True)
        if not fits and not self._said:
            self._said = True
            if trainer.is_global_zero:
                _log.warning(
                    "measuring %s takes %.3g s at a time: from step %d on it is done less often than asked for, to "
                    "take at most %.0f %% of the time of the rest of the run",
                    self._what,
                    self._longest,
                    trainer.global_step,
                    100.0 * self._share,
                )
        return fits
