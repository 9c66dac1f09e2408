"""The default run of 5,000 steps on the digits beside its bare steps, and what comes after the last of them.

    OMP_NUM_THREADS=1 python -m benchmarks.default_run [--rounds 3]

Sides, in turn: the bare loop of `benchmarks.fit` for as many steps, in this process; `python -m reparam_suite.fit` as a
whole, without and with `--compile true`; CPU time. By the clock, from the lines that the command prints: from the end
of training to its last line, and from there to the end of the process.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import torch
from benchmarks.cases import CASES, Setting
from benchmarks.fit import bare
from benchmarks.measuring import CLOCKS, Findings, Listing, Target, at_least, in_turn, parser

BARE, DEFAULT, COMPILED = "bare steps", "python -m reparam_suite.fit", "python -m reparam_suite.fit --compile true"
COMMANDS: Mapping[str, Sequence[str]] = {DEFAULT: (), COMPILED: ("--compile", "true")}
MOST, MOST_AFTER, MOST_AT_EXIT = 1.5, 3.0, 0.5
"""Of the run over its bare steps; seconds after training; seconds of the exit."""


@final
@dataclass(frozen=True)
class Cost:
    """Seconds of a run: of the processor; by the clock, after the last step and after the last line."""

    cpu: float
    after: float = 0.0
    at_exit: float = 0.0


def bare_steps(steps: int, setting: Setting) -> Cost:
    """The bare loop."""
    return Cost(steps * bare(next(iter(CASES.values())), steps, setting))


def run(arguments: Sequence[str], steps: int, directory: Path) -> Cost:
    """A whole run, in a process of its own.

    Raises:
        RuntimeError: if it fails.
    """
    command = [sys.executable, "-u", "-m", "reparam_suite.fit", "--max_steps", str(steps), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    trained = told = time.perf_counter()
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            told = time.perf_counter()
            if line.startswith(f"step {steps:,} of"):
                trained = told
    _, status, used = os.wait4(process.pid, 0)
    ended = time.perf_counter()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, told - trained, ended - told)


def targets(costs: Mapping[str, Sequence[Cost]]) -> list[Target]:
    """What the default run may take."""
    least = min(cost.cpu for cost in costs[BARE])
    own = costs[DEFAULT]
    return [
        Target("default run / its bare steps", min(cost.cpu for cost in own) / least, MOST),
        Target("seconds after training", min(cost.after for cost in own), MOST_AFTER),
        Target("seconds of the exit", min(cost.at_exit for cost in own), MOST_AT_EXIT),
    ]


def listing(costs: Mapping[str, Sequence[Cost]]) -> Listing:
    """The fastest round of each side."""
    least = min(cost.cpu for cost in costs[BARE])
    rows = []
    for name, own in costs.items():
        cpu = min(cost.cpu for cost in own)
        later = [
            f"{min(getattr(cost, part) for cost in own):.2f}" if name != BARE else "" for part in ("after", "at_exit")
        ]
        rows.append([name, f"{cpu:.2f}", f"{cpu / least:.2f}", *later])
    return Listing(
        "The default run", ("side", "CPU s", "over the bare steps", "s after training", "s of the exit"), rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it."""
    made = parser("default_run", __doc__, devices=("cpu",))
    made.add_argument("--rounds", type=at_least(1), default=3)
    made.add_argument("--steps", type=at_least(1), default=5000)
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        setting = Setting(CLOCKS["cpu"], torch.device("cpu"), directory, directory / "noise.npz")
        for arguments_ in COMMANDS.values():  # makes the database, and what inductor keeps
            run(arguments_, min(options.steps, 20), directory)
        sides = {BARE: partial(bare_steps, options.steps, setting)}
        sides |= {side: partial(run, given, options.steps, directory) for side, given in COMMANDS.items()}
        costs = in_turn(sides, options.rounds)
    Findings(
        how=f"{options.steps:,} steps, {options.rounds} rounds",
        listings=[listing(costs)],
        targets=targets(costs),
        content={"seconds": {name: [vars(cost) for cost in own] for name, own in costs.items()}},
    ).report(options)


if __name__ == "__main__":
    main()
