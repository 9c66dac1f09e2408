"""Findings of an experiment: the table is printed, figure and numbers are written, a run is recorded."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final, get_args

import torch
from benchmarks.measuring import machine
from experiments.setting import Length, Setting
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reparam_suite.runtime.errors import SuiteError
from reparam_suite.tracking import Store, TrackingError, TrackingSettings

HERE = Path(__file__).parent
OUTPUT = Path("build/experiments")
MEASURED = HERE.parent / "docs" / "measured" / "experiments"
"""Figures and numbers of the documentation; `make experiments` writes them."""


@final
@dataclass(frozen=True)
class Findings:
    """The findings of an experiment.

    Args:
        numbers: plain values, nested; the text of the documentation takes its numbers from them.
        columns: of the table.
        rows: of the table, as text.
        figure: the one figure.
    """

    numbers: Mapping[str, Any]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figure: Figure

    def __post_init__(self) -> None:
        assert len(set(self.columns)) == len(self.columns), "the file of numbers has the cells by their columns"


@final
@dataclass(frozen=True)
class Experiment:
    """One question and the way to its answer.

    Args:
        name: of the module, the figure and the file of numbers.
        question: which it answers.
        answer: takes the setting and gives the findings.
        short: the budget of the short setting, in words.
        full: that of the full setting, where there is one.
    """

    name: str
    question: str
    answer: Callable[[Setting], Findings]
    short: str
    full: str | None = None

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """The command line: answers, prints, writes, records; the exit code."""
        options = self._options(arguments)
        console = Console(highlight=False)
        torch.set_num_threads(1)
        try:
            settings = TrackingSettings(uri=options.tracking_uri, experiment="experiments", root=options.root)
            store = Store.begin(settings, partial(console.print, soft_wrap=True, markup=False))
        except TrackingError as error:
            print(f"experiments.{self.name}: {error}", file=sys.stderr)
            return 2
        console.print(self.question, style="bold", markup=False)
        try:
            findings = self.answer(Setting(options.length, options.data_root, settings))
        except (SuiteError, TrackingError) as error:
            print(f"experiments.{self.name}: {error}", file=sys.stderr)
            return 2
        console.print(_table(findings))
        figure, numbers = self._write(findings, options.output, options.length)
        budget = self._budget(options.length)
        console.print(f"budget   {budget}\nfigure   {figure}\nnumbers  {numbers}", soft_wrap=True, markup=False)
        self._record(store, findings, figure, numbers, options.length)
        console.print(f"MLflow UI  {store.ui_command}", soft_wrap=True)
        return 0

    def _options(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        parser = argparse.ArgumentParser(
            prog=f"python -m experiments.{self.name}", description=self.question, allow_abbrev=False
        )
        lengths = get_args(Length) if self.full else ("short",)
        explained = f"short: {self.short}" + (f"; full: {self.full}" if self.full else "")
        parser.add_argument("--length", choices=lengths, default="short", help=explained)
        parser.add_argument("--output", type=Path, default=OUTPUT, help="directory of the figure and the numbers")
        parser.add_argument("--root", type=Path, default=Path("mlruns"), help="directory of the record")
        parser.add_argument("--data_root", type=Path, default=Path("data"), help="directory of downloaded data")
        parser.add_argument("--tracking_uri", help="MLflow's store, if it is not the database in the root")
        return parser.parse_args(arguments)

    def _budget(self, length: Length) -> str:
        return self.full if length == "full" and self.full is not None else self.short

    def _write(self, findings: Findings, output: Path, length: Length) -> tuple[Path, Path]:
        output.mkdir(parents=True, exist_ok=True)
        figure, numbers = output / f"{self.name}.png", output / f"{self.name}.json"
        findings.figure.savefig(figure)
        content = {
            "question": self.question,
            "length": length,
            "budget": self._budget(length),
            "machine": machine(torch.device("cpu"), ("torch",)),
            "numbers": findings.numbers,
            "table": [dict(zip(findings.columns, row, strict=True)) for row in findings.rows],
        }
        numbers.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return figure, numbers

    def _record(self, store: Store, findings: Findings, figure: Path, numbers: Path, length: Length) -> None:
        run = store.start_run(
            name=f"{self.name}-{length}",
            parameters={"length": length},
            tags={"experiment": self.name, "question": self.question},
        )
        run.log_metrics(dict(_flat(findings.numbers)), step=0)
        for artifact in (figure, numbers):
            run.log_artifact(artifact)
        run.close("FINISHED")


def _table(findings: Findings) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for position, column in enumerate(findings.columns):
        table.add_column(escape(column), justify="right" if position else "left", no_wrap=True)
    for row in findings.rows:
        table.add_row(*map(escape, row))
    return table


def _flat(numbers: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    # Single numbers only: curves are in the file and in the figure.
    flat: list[tuple[str, float]] = []
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat.append((f"{prefix}{name}", float(value)))
    return flat


def rounded(value: float, digits: int = 4) -> float:
    """`value` to so many significant digits, as files of numbers have it."""
    return float(f"{value:.{digits}g}")
