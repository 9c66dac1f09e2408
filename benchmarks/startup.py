"""Time of a command before and after the training, beside importing PyTorch and Lightning.

    OMP_NUM_THREADS=1 python -m benchmarks.startup [--rounds 5]

Whole processes, in turn: the imports alone, `python -m reparam_suite.fit --help`, refusals, a run up to the end of its
first step, runs of one step on the digits, with every record of a run and without the bound of 5,000 samples, and what
such a run imports, its floor. A first run, which is not counted, makes the database. Ratios are of the fastest rounds,
by the processors' time.
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
from typing import final

from benchmarks.measuring import Findings, Listing, Ratio, Target, at_least, in_turn, parser

TORCH, LIGHTNING = "import torch", "import lightning.pytorch"
REFUSAL, REFUSED_VALUE, FIRST_STEP, WHOLE = (
    "a refused option",
    "a value that a constructor refuses",
    "up to the end of the first step",
    "a run of one step",
)
_UP_TO_THE_FIRST_STEP = """
import os, sys
from reparam_suite import Run
from lightning.pytorch import Callback
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE

class Stop(Callback):
    def on_train_batch_end(self, *_):
        os._exit(0)

Run(lambda: GaussianVAE(event_shape=(64,)), Digits(), max_steps=2, trainer={"callbacks": [Stop()]}).fit()
"""
_FIT, _ONE_STEP = ("-m", "reparam_suite.fit"), ("--trainer.max_steps", "1")
COMMANDS: Mapping[str, Sequence[str]] = {
    TORCH: ("-c", TORCH),
    LIGHTNING: ("-c", LIGHTNING),
    "--help": (*_FIT, "--help"),
    REFUSAL: (*_FIT, "--model.estimator", "None_such"),
    REFUSED_VALUE: (*_FIT, "--model.estimator.num_samples", "0"),
    FIRST_STEP: ("-c", _UP_TO_THE_FIRST_STEP),
    WHOLE: (*_FIT, *_ONE_STEP),
    "a run of one step, --record.test_data 0": (*_FIT, *_ONE_STEP, "--record.test_data", "0"),
    "floor: import lightning.pytorch, mlflow, matplotlib": (
        "-c",
        "import lightning.pytorch, mlflow, matplotlib.figure",
    ),
}
TARGETS = {
    "--help": (TORCH, 1.5),
    REFUSAL: (TORCH, 1.5),
    REFUSED_VALUE: (TORCH, 1.5),
    FIRST_STEP: (LIGHTNING, 1.3),
    WHOLE: (LIGHTNING, 2.0),
}
"""Over which import, and the most."""
_REFUSED = 2


@final
@dataclass(frozen=True)
class Cost:
    """Seconds of a process: by the clock, and of the processors."""

    wall: float
    cpu: float


def run(arguments: Sequence[str], directory: Path, expected: int = 0) -> Cost:
    """The cost of one process of this Python, in `directory`.

    Raises:
        RuntimeError: if it ended with another exit code than `expected`.
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
    if process.returncode != expected:
        raise RuntimeError(f"python {' '.join(arguments)} ended with exit code {process.returncode}")
    return Cost(wall=time.perf_counter() - start, cpu=used.ru_utime + used.ru_stime)


def listing(costs: Mapping[str, Sequence[Cost]]) -> Listing:
    """Each command over the imports."""
    told = {target.name: f"at most {target.target:g}{'' if target.met else '*'}" for target in targets(costs)}
    rows = []
    for name, own in costs.items():
        over = [_over(costs, name, base).of_fastest for base in (TORCH, LIGHTNING)]
        seconds = (min(cost.wall for cost in own), min(cost.cpu for cost in own))
        rows.append([name, *(f"{figure:.2f}" for figure in (*seconds, *over)), told.get(_named(name), "")])
    columns = ("process", "wall s", "CPU s", f"over {TORCH}", f"over {LIGHTNING}", "target (* missed)")
    return Listing("Start-up and end", columns, rows)


def targets(costs: Mapping[str, Sequence[Cost]]) -> list[Target]:
    """What the commands may take."""
    return [
        Target(_named(name), _over(costs, name, base).of_fastest, most)
        for name, (base, most) in TARGETS.items()
        if name in costs
    ]


def _named(name: str) -> str:
    return f"{name} / {TARGETS[name][0]}" if name in TARGETS else name


def _over(costs: Mapping[str, Sequence[Cost]], name: str, base: str) -> Ratio:
    return Ratio.of([cost.cpu for cost in costs[name]], [cost.cpu for cost in costs[base]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it."""
    made = parser("startup", __doc__, devices=("cpu",))
    made.add_argument("--rounds", type=at_least(1), default=5)
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run(COMMANDS[WHOLE], directory)
        sides = {
            name: partial(run, command, directory, _REFUSED if name in (REFUSAL, REFUSED_VALUE) else 0)
            for name, command in COMMANDS.items()
        }
        costs = in_turn(sides, options.rounds)
    Findings(
        how=f"{options.rounds} rounds",
        listings=[listing(costs)],
        targets=targets(costs),
        content={"seconds": {name: [asdict(cost) for cost in own] for name, own in costs.items()}},
    ).report(options)


if __name__ == "__main__":
    main()
