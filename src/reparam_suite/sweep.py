"""`python -m reparam_suite.sweep`: trains a grid of runs, and makes tables of it."""

import shlex
import sys

if __name__ == "__main__":  # before the other imports, which take seconds
    from reparam_suite.commands.early import asks_for_workers
    from reparam_suite.runtime.program import begin

    begin("sweep", workers=asks_for_workers(sys.argv[1:]))

from collections.abc import Sequence

from rich.console import Console

from reparam_suite.commands.automatic import stopped
from reparam_suite.commands.complaint import complain
from reparam_suite.commands.explanations import as_option
from reparam_suite.commands.short_options import as_typed
from reparam_suite.runtime.errors import SuiteError
from reparam_suite.runtime.global_state import quiet, unchanged_globals
from reparam_suite.runtime.plain_warnings import plain_warnings
from reparam_suite.runtime.program import run
from reparam_suite.runtime.terminal import TextConsole
from reparam_suite.sweeps.command import SweepCommand, command, parser, table_command, table_parser
from reparam_suite.sweeps.display import Display
from reparam_suite.sweeps.result import SweepResult
from reparam_suite.sweeps.settings import TableSettings
from reparam_suite.tracking import TrackingError, redact
from reparam_suite.training import Stopped, StopSignals
from reparam_suite.workers import WorkersLost

_USAGE, _FAILED = 2, 1
_TABLE = "table"


@plain_warnings("reparam_suite.sweep")
def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code: 1 if a run is missing."""
    args = sys.argv[1:] if args is None else args
    of_table = args[:1] == [_TABLE]
    known = table_parser() if of_table else parser()
    if {"-h", "--help"} & set(args):
        print(known.format_help())
        return 0
    quiet()
    console = TextConsole()
    with StopSignals() as signals, Display(console) as display, unchanged_globals():
        try:
            return _table(args[1:], console) if of_table else _sweep(command(args), console, display, signals)
        except WorkersLost as error:
            return _complain(str(error), _FAILED)
        except Stopped as error:
            again = redact(shlex.join(["python", "-m", "reparam_suite.sweep", *args]))
            told = f"{error.what}; {display.counted()}, and what was interrupted waits. To resume: {again}"
            return stopped("sweep", told, args, error.exit_code)
        except (SuiteError, TrackingError) as error:
            return _complain(as_typed(as_option(str(error), known), args), _USAGE)


def _sweep(asked: SweepCommand, console: Console, display: Display, signals: StopSignals) -> int:
    if asked.dry_run:
        asked.sweep.checked(display)
        return 0
    display.wanted = asked.settings.metrics
    result = asked.sweep.run_within(signals, display)
    states = list(result.frame["status"])
    finished, skipped = states.count("FINISHED"), states.count("SKIPPED")
    for status in ("FAILED", "KILLED", "RUNNING", "MISSING"):
        if number := states.count(status):
            console.print(f"{status.lower():<10} {number:,} runs", soft_wrap=True)
    console.print(f"finished   {finished:,} of {len(states) - skipped:,} runs, {result.trained:,} of them now")
    try:
        if asked.settings.table is not None and finished:
            _show(asked.settings.table, result, console)
    finally:
        if result.ui_command:
            console.print(f"MLflow UI  {result.ui_command}", soft_wrap=True, markup=False)
    return 0 if finished + skipped == len(states) else _FAILED


def _table(args: Sequence[str], console: Console) -> int:
    asked = table_command(args)
    _show(asked.settings, SweepResult.load(asked.name, tracking=asked.tracking), console)
    return 0


def _show(settings: TableSettings, result: SweepResult, console: Console) -> None:
    table = settings.of(result)
    console.print(str(table), soft_wrap=True, markup=False)
    if settings.output is not None:
        table.write(settings.output)
        console.print(f"table      {settings.output}", soft_wrap=True)


def _complain(message: str, code: int) -> int:
    complain("sweep", message)
    return code


if __name__ == "__main__":
    run(main)
