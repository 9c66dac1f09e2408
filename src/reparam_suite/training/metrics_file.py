"""The metrics of a run as a CSV file beside its checkpoints, for tools that know nothing of MLflow."""

import csv
import io
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import final

NAME = "metrics.csv"
_HEAD = ("step", "metric", "value")
_log = logging.getLogger(__name__)

Curves = Mapping[str, Sequence[tuple[int, float]]]


@final
class MetricsFile:
    """A line for each recorded number: step, metric, value. Every write ends on the disk's side of Python.

    A full disk, or one that cannot be written, does not stop the run: a warning says so once, and the next write that
    succeeds writes everything that was missed.

    Args:
        path: of the file; one that is there is replaced.
        curves: of the run, up to now and from now on: a run that resumes has those of its checkpoint.
    """

    def __init__(self, path: Path, curves: Curves) -> None:
        self._path = path
        self._curves = curves
        self._is_whole = False
        self._has_failed = False
        self._try(self._replace)

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Adds numbers, which the curves have already."""
        rows = [(step, name, value) for name, value in metrics.items()]
        self._try((lambda: self._append(rows)) if self._is_whole else self._replace)

    def _try(self, change: Callable[[], None]) -> None:
        try:
            change()
            self._is_whole = True
        except OSError as error:
            self._is_whole = False
            if not self._has_failed:
                self._has_failed = True
                _log.warning("%s cannot be written, the run continues without it: %s", self._path, error.strerror)

    def _append(self, rows: Iterable[tuple[int, str, float]]) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(_lines(rows))

    def _replace(self) -> None:
        rows = sorted((step, name, value) for name, curve in self._curves.items() for step, value in curve)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f"{self._path.name}.unfinished")
        unfinished.write_text(_lines([_HEAD, *rows]), encoding="utf-8")
        os.replace(unfinished, self._path)


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
