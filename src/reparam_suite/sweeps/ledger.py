"""Results of a sweep in a CSV file, a row for each run: what such a file has is not trained again, on any machine."""

import csv
import fcntl
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from reparam_suite.runtime.errors import ArgumentTypeError, UsageError
from reparam_suite.sweeps.grid import Cell
from reparam_suite.sweeps.points import check_metrics

SEED = "seed"

_Identity = tuple[tuple[str, str], ...]


@final
@dataclass(frozen=True)
class Ledger:
    """A file that keeps the results of a sweep's runs, for example under version control.

    A row has the values of a cell as expressions, its seed and then metrics, of which the file may have more than
    these. Runs whose row has all of these count as finished; those that finish get a row.

    Args:
        file: CSV; made where it is missing.
        metrics: that are kept: the last value, METRIC, or the value at a step, METRIC@STEP.

    Raises:
        ValueError: if there are no metrics or one cannot be kept, or the file cannot be written.
        TypeError: if the metrics are no list.
    """

    file: Path
    metrics: tuple[str, ...]

    def __post_init__(self) -> None:
        given: Any = self.metrics
        if isinstance(given, str):
            raise ArgumentTypeError(f"results.metrics: expected a list, got {given!r}")
        object.__setattr__(self, "file", Path(self.file))
        object.__setattr__(self, "metrics", tuple(given))
        self.check_metrics([])
        directory = self.file.absolute().parent
        if not directory.is_dir():
            raise UsageError(f"results.file: expected a file in a directory that exists, got {self.file}")
        if self.file.is_dir() or not os.access(directory, os.W_OK):
            raise UsageError(f"results.file: expected a file that can be written, got {self.file}")

    def check_metrics(self, arguments: Iterable[str]) -> None:
        """Refuses metrics that have the name of another column.

        Args:
            arguments: of the sweep.

        Raises:
            ValueError: with the name.
        """
        if not self.metrics:
            raise UsageError("results.metrics: expected at least one, got none")
        check_metrics("results.metrics", self.metrics)
        if both := {SEED, *arguments} & {*self.metrics}:
            raise UsageError(f"results.metrics: expected metrics of the runs, got {', '.join(sorted(both))}")

    def known(self, cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
        """The metrics of cells that have a row, those that it has, by the cell's key.

        Raises:
            ValueError: if the file cannot be read.
        """
        rows, _ = self._content()
        found = {}
        for cell in cells:
            if (row := rows.get(_identity_of(cell))) is not None:
                found[cell.key] = {name: float(row[name]) for name in self.metrics if row.get(name)}
        return found

    def complete(self, cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
        """The metrics of cells whose row has all of them, by the cell's key.

        Raises:
            ValueError: if the file cannot be read.
        """
        return {key: metrics for key, metrics in self.known(cells).items() if len(metrics) == len(self.metrics)}

    def add(self, results: Sequence[tuple[Cell, Mapping[str, float]]]) -> None:
        """Writes the rows of cells that have some of the metrics; those that a row has already stay.

        Raises:
            ValueError: if the file cannot be read or written.
        """
        with _usable(self.file), _locked(self.file):
            rows, names = self._content()
            for cell, metrics in results:
                if not any(name in metrics for name in self.metrics):
                    continue
                kept = {name: repr(metrics[name]) for name in self.metrics if name in metrics}
                values = {**cell.expressions, SEED: str(cell.seed)}
                rows[_identity_of(cell)] = {**rows.get(_identity_of(cell), {}), **values, **kept}
            self._write(list(rows.values()), names)

    def _content(self) -> tuple[dict[_Identity, dict[str, str]], list[str]]:
        # The rows by what they are of, and the names of all metrics.
        if not self.file.exists():
            return {}, list(self.metrics)
        # A spreadsheet's file begins with the mark of its encoding, which "sig" reads over.
        with _usable(self.file), self.file.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, strict=True)
            titles = list(lines.fieldnames or ())
            if titles and SEED not in titles:
                raise UsageError(f"results.file: {self.file}: expected a column {SEED}, got {', '.join(titles)}")
            rows = self._checked(list(lines))
        names = list(dict.fromkeys([*titles[titles.index(SEED) + 1 :], *self.metrics])) if titles else [*self.metrics]
        found: dict[_Identity, dict[str, str]] = {}
        for number, row in enumerate(rows, 2):
            if found.setdefault(_identity(row, names), row) is not row:
                raise UsageError(f"results.file: {self.file}, line {number}: expected each run once, got it twice")
        return found, names

    def _checked(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        for number, row in enumerate(rows, 2):
            if None in row or None in row.values():
                raise UsageError(f"results.file: {self.file}, line {number}: expected as many fields as titles")
            try:
                values = [float(row[name]) for name in self.metrics if row.get(name)]
                int(row[SEED])
            except (KeyError, TypeError, ValueError):
                raise UsageError(
                    f"results.file: {self.file}, line {number}: expected a seed and numbers of "
                    f"{', '.join(self.metrics)}, got {', '.join(map(str, row.values()))}"
                ) from None
            if not all(map(math.isfinite, values)):
                raise UsageError(f"results.file: {self.file}, line {number}: expected finite numbers, got {values}")
        return rows

    def _write(self, rows: Sequence[Mapping[str, str]], metrics: Sequence[str]) -> None:
        names = dict.fromkeys(name for row in rows for name in row)
        arguments = [name for name in names if name not in (SEED, *metrics)]
        text = io.StringIO()
        lines = csv.DictWriter(text, [*arguments, SEED, *metrics], restval="", lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)
        unfinished = self.file.with_name(f".{self.file.name}.unfinished")
        unfinished.write_text(text.getvalue(), encoding="utf-8")
        os.replace(unfinished, self.file)


def _identity(row: Mapping[str, str | None], metrics: Sequence[str]) -> _Identity:
    # An argument that a cell does not have is an empty field.
    return tuple(sorted((name, value) for name, value in row.items() if value and name not in metrics))


def _identity_of(cell: Cell) -> _Identity:
    return tuple(sorted({**cell.expressions, SEED: str(cell.seed)}.items()))


@contextmanager
def _usable(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"results.file: expected a CSV file that can be read and written, got {file}: {error}"
        ) from error


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    # Several commands may share the file. Its directory is locked: the file itself is replaced.
    directory = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)
