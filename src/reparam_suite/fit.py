"""`python -m reparam_suite.fit`: trains a VAE with a chosen gradient estimator and records it in MLflow."""

import re
import sys
from collections.abc import Iterator

from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from reparam_suite.commands.command_line import Command, option_values, quiet
from reparam_suite.data import DataError
from reparam_suite.running.resumption import Resumption, resumed
from reparam_suite.running.run import Run, RunStopped, train
from reparam_suite.tracking import TrackingError
from reparam_suite.training import CheckpointError, NonFiniteLoss, ProcessLost, Stopped, StopSignals
from reparam_suite.commands.usage import UsageError

_USAGE, _FAILED = 2, 1


def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code."""
    args = sys.argv[1:] if args is None else args
    console = Console(highlight=False)
    quiet()
    with StopSignals() as signals:
        try:
            ended = [train(command, console, signals, going_on) for command, going_on in _commands(args)]
        except (UsageError, DataError, TrackingError) as error:
            return _complain(str(error), _USAGE)
        except (NonFiniteLoss, CheckpointError) as error:
            return _complain(str(error), _FAILED)
        except ProcessLost as error:
            return _complain(str(error), _FAILED, survivor=error.of_first)
        except RunStopped as error:
            return _complain(str(error), error.exit_code)
        except Stopped as error:
            return _complain(f"{error.what}; no run had begun", error.exit_code)
        if not (finished := [run for run in ended if run is not None]):
            return 0
        console.print(_table(finished))
        console.print(f"run        {', '.join(run.run_id for run in finished)}", soft_wrap=True)
        console.print(f"artifacts  {finished[-1].artifacts}", soft_wrap=True)
        console.print(f"to look    {finished[-1].store.ui_command}", soft_wrap=True)
    return 0


def _commands(args: list[str]) -> Iterator[tuple[Command, Resumption | None]]:
    # One after the other, since each seeds the generators that its run goes on with. The first is made to see at once
    # whether anything is wrong.
    if targets := option_values("--resume", args):
        command, going_on = resumed(args, targets[-1])
        for note in (*going_on.notes, *going_on.changes):
            _complain(note, 0)
        yield command, going_on
        return
    first = Command(args)
    if first.config.seeds is None:
        yield first, None
        return
    for seed in dict.fromkeys(first.config.seeds):
        yield Command([*args, "--seeds", str(seed), "--seed", str(seed)]), None


_LINES = {
    "test ELBO": ("test/elbo", ".2f"),
    "KL": ("test/kl", ".2f"),
    "validation ELBO": ("val/elbo", ".2f"),
    "gradient variance, encoder": ("grad/encoder/variance", ".3g"),
    "gradient variance, decoder": ("grad/decoder/variance", ".3g"),
    "work-normalised, encoder": ("grad/encoder/work_normalized_variance", ".3g"),
    "ms per step": ("time/ms_per_step", ".2f"),
}


def _table(runs: list[Run]) -> Table:
    """What was reached, in nats: a line a quantity, a column a run."""
    found = (re.fullmatch(r"test/bound_(\d+)(_from_\d+)?", name) for name in runs[0].journal.curves)
    lines = {**_LINES, **{f"test bound, K = {int(each[1]):,}": (each[0], ".2f") for each in found if each}}
    table = Table(title="What was reached, in nats", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for run in runs:
        table.add_column(run.name if len(runs) == 1 else f"seed {run.seed}", justify="right")
    table.add_row("steps", *[f"{run.num_steps:,}" for run in runs])
    for label, (name, form) in lines.items():
        table.add_row(label, *[_cell(run.journal.latest(name), form) for run in runs])
    return table


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _complain(message: str, code: int, *, survivor: bool = False) -> int:
    # What stops all processes is told once, by the first one; after its death by another.
    if getattr(rank_zero_only, "rank", 0) == 0 or survivor:
        print(f"reparam_suite.fit: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
