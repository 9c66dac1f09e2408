"""Shared by the benchmarks: options, sides in turn, the line on the machine, and the files of findings."""

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
class Listing:
    """A table, for the terminal and in Markdown.

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
        return ["| " + " | ".join(row) + " |" for row in (self.columns, rule, *self.rows)]


@final
@dataclass(frozen=True)
class Findings:
    """The findings of a benchmark.

    Args:
        how: they were measured, in words; the machine, the versions and the date are added.
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
        """Prints them, and writes them as JSON and, where that was asked for, as Markdown."""
        told = machine(options.device, self.packages)
        _write(options.output, json.dumps({**told, "how": self.how, **self.content}, indent=2))
        console = Console()
        # A pipe is as wide as the table.
        printer = Console(width=None if console.is_terminal else 200, highlight=False)
        for listing in self.listings:
            printer.print(listing.printed())
        for line in (*self.notes, f"written to {options.output}"):
            printer.print(line, markup=False)
        if options.table is not None:
            _write(options.table, "\n".join(self.markdown(told)))

    def markdown(self, told: Mapping[str, Any]) -> list[str]:
        """The lines of the Markdown file, `told` being the machine."""
        versions = ", ".join(f"{package} {number}" for package, number in told["versions"].items())
        threads = "thread" if told["threads"] == 1 else "threads"
        where = f"{told['processor']}, {told['cores']} cores, {told['threads']} {threads}, {told['device']}"
        lines = [f"{told['date']}; {where}; {self.how}; {versions}."]
        for note in self.notes:
            lines += ["", note]
        for listing in self.listings:
            lines += ["", f"{listing.title}:", "", *listing.markdown()]
        return lines


def machine(device: torch.device, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Date, processor, device, threads and the versions of the installed ones of these packages."""
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
    """The results of each side in each round: one side after the other, every second round in the opposite order."""
    found: dict[S, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name].append(sides[name]())
    return found


@final
@dataclass(frozen=True)
class Ratio:
    """The ratio of two sides over the rounds.

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
        """The ratio of measurements of the same rounds."""
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))


def parser(
    name: str, description: str | None, *, output: Path | None = None, devices: Sequence[str] = ("cpu", "cuda")
) -> argparse.ArgumentParser:
    """A parser of the options that all benchmarks have: the device, the file of numbers, the file of tables.

    Args:
        name: of the module.
        description: the module's docstring.
        output: the file of numbers by default.
        devices: on which it can measure.
    """
    present = [name for name in devices if name == "cpu" or torch.cuda.is_available()]
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--device", default=present[-1], type=lambda text: _device(text, present))
    made.add_argument("--output", type=writable, default=output or OUTPUT / f"{name}.json", help="the numbers as JSON")
    made.add_argument("--table", type=writable, help="the tables as Markdown")
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
    """The type of an option that is a file to write, whose folder need not exist."""
    file = Path(text)
    if file.is_dir() or any(parent.exists() and not parent.is_dir() for parent in file.parents):
        raise argparse.ArgumentTypeError(f"expected a file that can be written, got {text}")
    return file


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n", encoding="utf-8")
