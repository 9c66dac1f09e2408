"""What the benchmarks share: options, sides in turn, the machine's line, and the page that they fill."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar, final

import torch
from rich.console import Console
from rich.table import Table

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
OUTPUT = Path("build/benchmarks")
PACKAGES = ("torch", "lightning", "mlflow")

S, T = TypeVar("S"), TypeVar("T")


@final
@dataclass(frozen=True)
class Part:
    """A place on a Markdown page, between two marks of its own; everything else there stays.

    Args:
        page: a file.
        name: of the part, as its marks have it.

    Raises:
        ValueError: if the page has no such marks.
    """

    page: Path
    name: str

    def __post_init__(self) -> None:
        self._around()

    def write(self, lines: Sequence[str]) -> None:
        """Puts these lines there."""
        before, after = self._around()
        self.page.write_text("\n".join([before, *lines, after]), encoding="utf-8")

    def _around(self) -> tuple[str, str]:
        marks = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        text = self.page.read_text(encoding="utf-8") if self.page.is_file() else ""
        before, begin, rest = text.partition(marks[0])
        _, end, after = rest.partition(marks[1])
        if not (begin and end):
            raise ValueError(f"{self.page} has no place for the table: expected {marks[0]} and {marks[1]}")
        return before + begin, end + after


@final
@dataclass(frozen=True)
class Listing:
    """A table, for the terminal and for a page.

    Args:
        title: above it.
        columns: the first `num_names` of them are words, the others figures.
        rows: of text.
        num_names: how many columns are words.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int = 1

    def printed(self) -> Table:
        """As rich prints it."""
        table = Table(title=self.title)
        for position, column in enumerate(self.columns):
            table.add_column(column, justify="left" if position < self.num_names else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> list[str]:
        """As lines of Markdown."""
        rule = ["---"] * self.num_names + ["---:"] * (len(self.columns) - self.num_names)
        return ["| " + " | ".join(each) + " |" for each in (self.columns, rule, *self.rows)]


@final
@dataclass(frozen=True)
class Findings:
    """What a benchmark found.

    Args:
        how: it was measured, in words; the machine, the versions and the date are told beside it.
        listings: the tables.
        content: plain values, nested.
        notes: sentences about what is not in the tables.
        packages: whose versions matter.
    """

    how: str
    listings: Sequence[Listing]
    content: Mapping[str, Any]
    notes: Sequence[str] = ()
    packages: Sequence[str] = PACKAGES

    def report(self, options: argparse.Namespace) -> None:
        """Prints it, writes it as JSON, and fills its part of the page."""
        told = machine(options.device, self.packages)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({**told, "how": self.how, **self.content}, indent=2) + "\n")
        console = Console()
        # A pipe is as wide as the table.
        printer = Console(width=None if console.is_terminal else 200, highlight=False)
        for listing in self.listings:
            printer.print(listing.printed())
        for each in (*self.notes, f"written to {options.output}"):
            printer.print(each, markup=False)
        if options.page is not None:
            options.page.write(self.lines(told))

    def lines(self, told: Mapping[str, Any]) -> list[str]:
        """What stands on the page, `told` being the machine."""
        versions = ", ".join(f"{package} {number}" for package, number in told["versions"].items())
        threads = "thread" if told["threads"] == 1 else "threads"
        where = f"{told['processor']}, {told['cores']} cores, {told['threads']} {threads}, {told['device']}"
        lines = [f"{told['date']}; {where}; {self.how}; {versions}."]
        for each in self.notes:
            lines += ["", each]
        for listing in self.listings:
            lines += ["", f"{listing.title}:", "", *listing.markdown()]
        return lines


def machine(device: torch.device, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """On what and when: processor, device, threads, the versions of those packages that are here, date."""
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": str(date.today()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "versions": versions,
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} ({named[0]})" if named else platform.machine()


def in_turn(sides: Mapping[S, Callable[[], T]], rounds: int) -> dict[S, list[T]]:
    """What each side gives in each round: one side after the other, every second round in the opposite order."""
    found: dict[S, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name].append(sides[name]())
    return found


@final
@dataclass(frozen=True)
class Ratio:
    """Of two sides, over the rounds.

    Attributes:
        median: of the rounds' ratios, since the machine's speed drifts from round to round.
        low: the least.
        high: the greatest.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """The ratio of what was measured in the same rounds."""
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))


def parser(
    name: str, description: str | None, *, output: Path | None = None, devices: Sequence[str] = ("cpu", "cuda")
) -> argparse.ArgumentParser:
    """With the options that all benchmarks have: the device, the file of numbers, the page.

    Args:
        name: of the module and of its part of a page.
        description: the module's docstring.
        output: where the numbers go if nothing is said.
        devices: on which it can measure.
    """
    present = [each for each in devices if each == "cpu" or torch.cuda.is_available()]
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--device", default=present[-1], type=lambda text: _device(text, present))
    made.add_argument("--output", type=writable, default=output or OUTPUT / f"{name}.json", help="the numbers as JSON")
    made.add_argument(
        "--page",
        type=lambda text: _part(Path(text), name),
        help=f"a Markdown page whose part between the marks '{name}: begin' and '{name}: end' is written anew",
    )
    return made


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that is an integer from `least` on."""

    def integer(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected an integer of at least {least}, got {text}")
        return int(text)

    return integer


def positive(text: str) -> float:
    """The type of an option that is a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _device(text: str, accepted: Sequence[str]) -> torch.device:
    if text not in accepted:
        raise argparse.ArgumentTypeError(f"expected {' or '.join(accepted)}, got {text}")
    return torch.device(text)


def writable(text: str) -> Path:
    """The type of an option that is a file to be written, whose folder need not be there."""
    file = Path(text)
    if file.is_dir() or any(each.exists() and not each.is_dir() for each in file.parents):
        raise argparse.ArgumentTypeError(f"expected a file that can be written, got {text}")
    return file


def _part(page: Path, name: str) -> Part:
    try:
        return Part(page, name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
