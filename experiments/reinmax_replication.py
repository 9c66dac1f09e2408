"""How close are the suite's straight-through estimators to a published replication table?

    python -m reparam_suite.sweep --config conf/sweeps/reinmax_replication.yaml --workers 2     trains what is missing
    python -m experiments.reinmax_replication                                                  compares ours with theirs

The table is that of arXiv 2603.08257: the training objective's mean over epochs 10, 40 and 160, -(reconstruction - KL)
in nats, mean and standard deviation over ten seeds. What the sweep has on record, of unfinished runs too, is added by
seed to docs/measured/reinmax_replication_seeds.csv, the file of results that the sweep's configuration names: the sweep
trains no run whose row there is complete, on any machine. The means go to build/experiments/reinmax_replication.csv, or
to the file of `--output`.

A cell agrees if the means differ by at most two combined standard deviations, sqrt(ours^2 + theirs^2). A single run
has no deviation of its own, and takes theirs. Where ours is more than five times theirs, a run collapsed, and nothing
could disagree: there the median is compared, with their deviation for both.
"""

import argparse
import csv
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from rich.console import Console
from rich.table import Table

from reparam_suite.sweeps.command import SweepCommand, command
from reparam_suite.sweeps.grid import Cell, combinations_of
from reparam_suite.sweeps.ledger import Ledger
from reparam_suite.sweeps.points import values_of
from reparam_suite.sweeps.records import CELL, opened, runs_of
from reparam_suite.tracking import RecordedRun, TrackingSettings

HERE = Path(__file__).parent
FILE = HERE.parent / "conf" / "sweeps" / "reinmax_replication.yaml"
SEEDS = HERE.parent / "docs" / "measured" / "reinmax_replication_seeds.csv"
OUTPUT = Path("build/experiments/reinmax_replication.csv")
STEPS_PER_EPOCH = 600
_CLASSES, _LATENTS, _METHOD = "model.posterior.num_classes", "model.latent_size", "model.estimator"

COLLAPSED = 5.0
"""Times the published deviation: beyond it the median is compared."""

PUBLISHED_SEEDS = 10
PUBLISHED: Mapping[tuple[int, int, str], Mapping[int, tuple[float, float]]] = {
    (8, 4, "StraightThroughGumbel"): {10: (142.15, 0.39), 40: (133.28, 0.65), 160: (127.59, 0.77)},
    (8, 4, "GumbelRao"): {10: (138.08, 0.47), 40: (130.13, 0.45), 160: (125.65, 0.47)},
    (8, 4, "GappedStraightThrough"): {10: (139.24, 0.57), 40: (132.11, 0.67), 160: (128.31, 0.70)},
    (8, 4, "StraightThrough"): {10: (148.84, 23.10), 40: (137.72, 1.33), 160: (136.40, 1.37)},
    (8, 4, "ReinMax"): {10: (139.83, 0.59), 40: (129.50, 0.66), 160: (125.08, 0.68)},
    (8, 4, "ReinMaxRao"): {10: (137.96, 0.45), 40: (129.02, 1.03), 160: (125.31, 0.95)},
    (4, 24, "StraightThroughGumbel"): {10: (126.36, 0.33), 40: (109.58, 0.40), 160: (101.49, 0.29)},
    (4, 24, "GumbelRao"): {10: (123.17, 0.27), 40: (106.69, 0.49), 160: (100.14, 0.40)},
    (4, 24, "GappedStraightThrough"): {10: (124.20, 0.27), 40: (106.92, 0.34), 160: (101.64, 0.37)},
    (4, 24, "StraightThrough"): {10: (125.77, 0.34), 40: (116.74, 0.21), 160: (112.21, 0.62)},
    (4, 24, "ReinMax"): {10: (123.29, 0.29), 40: (108.00, 0.69), 160: (99.88, 0.27)},
    (4, 24, "ReinMaxRao"): {10: (123.28, 0.39), 40: (107.12, 0.48), 160: (100.41, 0.39)},
}
"""Mean and standard deviation by classes, latents and method, then by epoch."""


@final
@dataclass(frozen=True)
class Row:
    """A cell of the table at an epoch: ours, nats, then theirs where they give it.

    Args:
        classes: of each latent.
        latents: of the model.
        method: the estimator's class.
        epoch: over which the objective is averaged.
        mean: over seeds.
        std: over seeds; empty for a single one.
        n: seeds.
        median: over seeds.
        published_mean: theirs.
        published_std: theirs.
        verdict: whether the means agree; empty where theirs is missing.
    """

    classes: int
    latents: int
    method: str
    epoch: int
    mean: float
    std: float | None
    n: int
    median: float
    published_mean: float | None
    published_std: float | None
    verdict: str


def rows(cells: Sequence[Cell], known: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    """The cells that have results, in the order of the sweep.

    Args:
        cells: of the sweep.
        known: values of train/elbo at steps, by the cell's key.
    """
    for own in combinations_of(cells).values():
        values = own[0].values
        key = values[_CLASSES], values[_LATENTS], values[_METHOD]
        for name in dict.fromkeys(name for cell in own for name in known.get(cell.key, {})):
            epoch, found = epoch_of(name), [-known[cell.key][name] for cell in own if name in known.get(cell.key, {})]
            yield _row(*key, epoch, found)


def epoch_of(name: str) -> int:
    """The epoch of `train/elbo@STEP`."""
    return int(name.partition("@")[2]) // STEPS_PER_EPOCH


def _row(classes: int, latents: int, method: str, epoch: int, values: Sequence[float]) -> Row:
    mean, std = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
    theirs, spread = PUBLISHED.get((classes, latents, method), {}).get(epoch, (None, None))
    verdict = ""
    if theirs is not None and spread is not None:
        collapsed = std is not None and std > COLLAPSED * spread
        ours = spread if std is None or collapsed else std
        off = (statistics.median(values) if collapsed else mean) - theirs
        verdict = "agrees" if abs(off) <= 2.0 * math.hypot(ours, spread) else "differs"
        verdict = f"median {verdict}" if collapsed else verdict
    return Row(
        classes=classes,
        latents=latents,
        method=method,
        epoch=epoch,
        mean=round(mean, 2),
        std=None if std is None else round(std, 2),
        n=len(values),
        median=round(statistics.median(values), 2),
        published_mean=theirs,
        published_std=spread,
        verdict=verdict,
    )


def collect(asked: SweepCommand, ledger: Ledger, tracking: TrackingSettings, name: str) -> None:
    """Adds the results of a sweep of this name in the store, of unfinished runs too, to the file of results."""
    if (store := opened(tracking)) is None:
        return
    cells = {cell.key: cell for cell in cells_of(asked)}
    runs: dict[str, RecordedRun] = {}
    for run in runs_of(store, name):  # the newest first
        if run.tags.get(CELL) in cells and run.status != "FAILED":
            runs.setdefault(run.tags[CELL], run)
    values = values_of(store, list(runs.values()), ledger.metrics)
    ledger.add([(cells[key], values[run.run_id]) for key, run in runs.items()])


def cells_of(asked: SweepCommand) -> list[Cell]:
    """All cells of the sweep."""
    return asked.settings.combinations.with_seeds(asked.settings.seeds)


def write(found: Sequence[Row], output: Path) -> None:
    """Writes the rows as CSV."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, list(Row.__dataclass_fields__), lineterminator="\n")
        lines.writeheader()
        lines.writerows(asdict(row) for row in found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Collects, writes and prints."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.reinmax_replication", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    made.add_argument("--root", type=Path, default=Path("mlruns"), help="directory of the sweep's record")
    made.add_argument("--name", help="of the sweep on record, if a part was trained under another name")
    made.add_argument("--tracking_uri", help="MLflow's store, if it is not the database in the root")
    made.add_argument("--seeds", type=Path, default=SEEDS, help="the file of results by seed")
    made.add_argument("--output", type=Path, default=OUTPUT, help="the file of means")
    options = made.parse_args(arguments)
    asked = command(["--config", str(FILE), "--results.file", str(options.seeds)])
    ledger = asked.settings.results
    assert ledger is not None
    tracking = TrackingSettings(uri=options.tracking_uri, root=options.root)
    collect(asked, ledger, tracking, options.name or asked.settings.name)
    cells = cells_of(asked)
    found = list(rows(cells, ledger.known(cells)))
    write(found, options.output)
    console = Console(highlight=False)
    console.print(_table(found))
    console.print(f"means  {options.output}", soft_wrap=True)
    return 0


def _table(found: Sequence[Row]) -> Table:
    title = "Training objective, mean over an epoch, nats"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("C x D", "method", "epoch", "ours", "n", "published", "verdict"):
        table.add_column(column, no_wrap=True)
    for row in found:
        ours = f"{row.mean:.2f}" + ("" if row.std is None else f" ± {row.std:.2f}")
        theirs = "" if row.published_mean is None else f"{row.published_mean:.2f} ± {row.published_std:.2f}"
        table.add_row(
            f"{row.classes} x {row.latents}", row.method, str(row.epoch), ours, str(row.n), theirs, row.verdict
        )
    return table


if __name__ == "__main__":
    raise SystemExit(main())
