"""`python -m reparam_suite.fit`: trains a VAE with a chosen gradient estimator and records it in MLflow."""

import logging
import sys
import warnings

from rich.console import Console
from rich.table import Table

from reparam_suite.command_line import Command
from reparam_suite.data import DataError
from reparam_suite.runs import Run, train
from reparam_suite.tracking import TrackingError
from reparam_suite.training import NonFiniteLoss
from reparam_suite.usage import UsageError

_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130


def main(args: list[str] | None = None) -> int:
    """Runs the command line `args` (by default sys.argv[1:]) and returns its exit code."""
    args = sys.argv[1:] if args is None else args
    console = Console(highlight=False)
    _quiet()
    try:
        finished = [train(command, console) for command in _commands(args)]
    except (UsageError, DataError, TrackingError) as error:
        return _complain(str(error), _USAGE)
    except NonFiniteLoss as error:
        return _complain(str(error), _FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted; the run is recorded up to here as KILLED", _INTERRUPTED)
    console.print(_table(finished))
    console.print(f"run        {', '.join(run.run_id for run in finished)}", soft_wrap=True)
    console.print(f"artifacts  {finished[-1].artifacts}", soft_wrap=True)
    console.print(f"to look    {finished[-1].store.ui_command}", soft_wrap=True)
    return 0


def _commands(args: list[str]) -> list[Command]:
    # All of them are made before the first one trains: what is wrong with one shows at once.
    first = Command(args)
    if first.config.seeds is None:
        return [first]
    seeds = list(dict.fromkeys(first.config.seeds))
    return [Command([*args, "--seeds", str(seed), "--seed", str(seed)]) for seed in seeds]


_COLUMNS = {
    "test ELBO": ("test/elbo", ".2f"),
    "KL": ("test/kl", ".2f"),
    "validation ELBO": ("val/elbo", ".2f"),
    "gradient variance, encoder": ("grad/encoder/variance", ".3g"),
    "gradient variance, decoder": ("grad/decoder/variance", ".3g"),
    "ms per step": ("time/ms_per_step", ".2f"),
}


def _table(runs: list[Run]) -> Table:
    """What was reached, in nats: a line a quantity for one run, a line a run for several."""
    (bound,) = (name for name in runs[0].journal.curves if name.startswith("test/bound_"))
    columns = {**_COLUMNS, f"test bound, K = {bound.rsplit('_', 1)[-1]}": (bound, ".2f")}
    cells = [
        [f"{run.num_steps:,}", *[format(run.journal.latest(name) or 0.0, form) for name, form in columns.values()]]
        for run in runs
    ]
    labels = ["steps", *columns]
    table = Table(title="What was reached, in nats", title_justify="left", title_style="bold")
    if len(runs) == 1:
        table.add_column("", no_wrap=True)
        table.add_column(runs[0].name, justify="right")
        for label, value in zip(labels, cells[0], strict=True):
            table.add_row(label, value)
        return table
    table.add_column("run", overflow="fold")
    for label in labels:
        table.add_column(label, justify="right")
    for run, row in zip(runs, cells, strict=True):
        table.add_row(run.name, *row)
    return table


def _complain(message: str, code: int) -> int:
    print(f"reparam_suite.fit: {message}", file=sys.stderr)
    return code


def _quiet() -> None:
    # What Lightning says at every start is known here: the device is a tag, the data need no workers.
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*", FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="lightning")


if __name__ == "__main__":
    sys.exit(main())
