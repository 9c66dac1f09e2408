"""A sweep on the terminal: its plan, its progress, and what has failed."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reparam_suite.runtime.terminal import as_text
from reparam_suite.sweeps.grid import Cell, combinations_of
from reparam_suite.sweeps.plan import Plan, Watcher
from reparam_suite.sweeps.points import not_recorded
from reparam_suite.tracking import RecordedRun, Store

# Seconds between two lines of progress where there is no terminal to draw on.
_EVERY = 30.0

# Combinations that the plan names.
_NAMED = 40


@final
class Display(Watcher):
    """Shows a sweep: a bar on a terminal, else a line from time to time.

    Args:
        console: where.
        now: the clock, in seconds.

    Attributes:
        wanted: metrics of the runs, METRIC or METRIC@STEP, by the option that names them: a metric that the first run
            has not recorded is reported while others train.
    """

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self.wanted: Mapping[str, Sequence[str]] = {}
        self.failures: list[tuple[Cell, str]] = []
        self._console = console
        self._now = now
        self._plan: Plan | None = None
        self._ended: list[Cell] = []
        self._began = self._told_at = now()
        self._live: Live | None = None

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def planned(self, plan: Plan) -> None:
        """Prints the plan."""
        self._plan, self._began = plan, self._now()
        console, missing = self._console, plan.missing
        console.print(Text.assemble(as_text(plan.name, "bold"), "  ", as_text(plan.tracking.shown_uri)), soft_wrap=True)
        told = f"{_number(len(plan.cells), 'run')} of {_number(len(combinations_of(plan.cells)), 'combination')}"
        on_record = sum(cell.key in plan.done for cell in plan.cells)
        elsewhere = sum(cell.key in plan.elsewhere for cell in plan.cells)
        parts = [told, f"{on_record:,} on record", f"{elsewhere:,} trained elsewhere" if elsewhere else ""]
        steps, stopped = plan.num_steps(missing), sum(cell.key in plan.interrupted for cell in missing)
        before = f", {stopped:,} of them interrupted before" if stopped else ""
        parts.append(f"{len(missing):,} to train{before}" + (f", {_number(steps, 'step')}" if steps else ""))
        self._line(f"plan       {'; '.join(filter(None, parts))}")
        self._list(plan)
        for combination, reason in plan.misfits.items():
            self._line(f"left out   {combination}: {reason}")
        if missing and console.is_terminal:
            self._live = Live(get_renderable=self._drawn, console=console, refresh_per_second=1, transient=True)
            self._live.start()

    def recorded(self, store: Store, run: RecordedRun) -> None:
        """Reports those of the metrics that are wanted which the run has not recorded."""
        for option, names in self.wanted.items():
            for metric in not_recorded(store, run, names):
                self._line(f"warning    {option}: run {run.run_id} has not recorded {metric}")

    def ended(self, cell: Cell, error: str | None) -> None:
        """Counts a run, tells a failure at once, and prints a line where one is due."""
        self._ended.append(cell)
        if error is not None:
            self.failures.append((cell, error))
            self._line(f"failed     {cell.combination}, seed {cell.seed}: {error}")
        assert self._plan is not None
        first, last = len(self._ended) == 1, len(self._ended) == len(self._plan.missing)
        if self._live is None and (first or last or self._now() - self._told_at >= _EVERY):
            self._told_at = self._now()
            self._line(f"progress   {self._told()}")

    def counted(self) -> str:
        """How many runs are finished, of how many."""
        if self._plan is None:
            return "no run had begun"
        done = sum(cell.key in self._plan.done for cell in self._plan.cells) + len(self._ended) - len(self.failures)
        return f"{done:,} of {len(self._plan.cells) - self._num_misfits:,} runs are finished"

    @property
    def _num_misfits(self) -> int:
        assert self._plan is not None
        return sum(cell.combination in self._plan.misfits for cell in self._plan.cells)

    def _list(self, plan: Plan) -> None:
        combinations = combinations_of(plan.missing)
        for combination, cells in list(combinations.items())[:_NAMED]:
            steps = plan.steps[combination]
            seeds = ", ".join(str(cell.seed) for cell in cells)
            each = f", {_number(steps, 'step')} each" if steps else ""
            self._line(f"           {combination}; seeds {seeds}{each}")
        if (left := len(combinations) - _NAMED) > 0:
            self._line(f"           and {_number(left, 'combination')} more")

    def _told(self) -> str:
        assert self._plan is not None
        parts = [f"{len(self._ended):,} of {_number(len(self._plan.missing), 'run')}"]
        if self.failures:
            parts.append(f"{len(self.failures):,} failed")
        if left := self._seconds_left():
            parts.append(f"about {_time(left)} left")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        # By steps where they are known, else by runs: from what this call has trained.
        if not self._ended or self._plan is None:
            return None
        missing = self._plan.missing
        whole, done = self._plan.num_steps(missing), self._plan.num_steps(self._ended)
        if not whole or not done:
            whole, done = len(missing), len(self._ended)
        return (self._now() - self._began) * (whole - done) / done

    def _drawn(self) -> RenderableType:
        assert self._plan is not None
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=len(self._plan.missing), completed=len(self._ended), width=30)
        line.add_row(bar, Text(self._told()))
        return Group(line)

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
