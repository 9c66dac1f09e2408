"""Time of a command before and after the training, beside importing Lightning's command line.

    OMP_NUM_THREADS=1 python -m benchmarks.startup [--rounds 5]

Whole processes, in turn: the import alone, `python -m reparam_suite.fit --help`, and runs of one step on the digits,
with every record of a run and without the bound of 5,000 samples. A first run, which is not counted, has made the
database. The ratio is the median of the rounds' own, by the processors' time.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import final

from benchmarks.measuring import Findings, Listing, Ratio, at_least, in_turn, parser

IMPORT = "python -c 'import lightning.pytorch.cli'"
_FIT, _ONE_STEP = ("-m", "reparam_suite.fit"), ("--trainer.max_steps", "1")
COMMANDS: Mapping[str, Sequence[str]] = {
    IMPORT: ("-c", "import lightning.pytorch.cli"),
    "--help": (*_FIT, "--help"),
    "a run of one step": (*_FIT, *_ONE_STEP),
    "a run of one step, --record.test_data 0": (*_FIT, *_ONE_STEP, "--record.test_data", "0"),
}
TARGETS = {"--help": 1.25, "a run of one step": 2.0}


@final
@dataclass(frozen=True)
class Cost:
    """Seconds of a process: by the clock, and of the processors."""

    wall: float
    cpu: float


def run(arguments: Sequence[str], directory: Path) -> Cost:
    """The cost of one process of this Python, in `directory`.

    Raises:
        RuntimeError: if it failed.
    """
    # Each is compiled already, and finds the suite where this process has found it.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} ended with exit code {process.returncode}")
    return Cost(wall=time.perf_counter() - start, cpu=used.ru_utime + used.ru_stime)


def listing(costs: Mapping[str, Sequence[Cost]]) -> Listing:
    """Each command over the import."""
    base = [cost.cpu for cost in costs[IMPORT]]
    rows = []
    for name, own in costs.items():
        ratio, most = Ratio.of([cost.cpu for cost in own], base), TARGETS.get(name)
        told = f"at most {most:g}{'' if ratio.median <= most else '*'}" if most else ""
        rows.append(
            [
                name,
                f"{median(cost.wall for cost in own):.2f}",
                f"{median(cost.cpu for cost in own):.2f}",
                f"{ratio.median:.2f}",
                f"{ratio.low:.2f} to {ratio.high:.2f}",
                told,
            ]
        )
    columns = ("process", "wall s", "CPU s", "over the import", "range", "target (* missed)")
    return Listing("Start-up and end", columns, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it."""
    made = parser("startup", __doc__, devices=("cpu",))
    made.add_argument("--rounds", type=at_least(1), default=5)
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run(COMMANDS["a run of one step"], directory)
        sides = {name: partial(run, command, directory) for name, command in COMMANDS.items()}
        costs = in_turn(sides, options.rounds)
    Findings(
        how=f"{options.rounds} rounds",
        listings=[listing(costs)],
        content={"seconds": {name: [asdict(cost) for cost in own] for name, own in costs.items()}},
    ).report(options)


if __name__ == "__main__":
    main()
