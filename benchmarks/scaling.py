"""Throughput of `reparam_suite.fit` in one process and in two, and on CUDA against the batch size.

    OMP_NUM_THREADS=1 python -m benchmarks.scaling [--rows 100000] [--rounds 3]

Whole runs of the command as a user starts it, with every default record, at the same global batch: one process, and two
that average their gradients by gloo. A callback of the run reads the clocks after a warm-up of 50 steps and after
`--rows` data more, in each process; start-up, validation and test are apart. Runs take turns, and a ratio is the median
of the rounds' own.

Wall time is what a user waits, and what other work on the machine disturbs; CPU time, summed over the processes, is
what was computed. Efficiency is the throughput over that of one process and over the number of processes. Where CPU
time grows by some factor, efficiency cannot be above its inverse, however idle the cores are.
"""

import json
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
from typing import Any, final

import numpy as np
import torch
import yaml
from benchmarks.measuring import Findings, Listing, Ratio, at_least, in_turn, parser
from lightning.pytorch import Callback, LightningModule, Trainer

WARM_UP, NUM_FEATURES = 50, 784
CUDA_BATCHES = tuple(100 * 4**i for i in range(5))


@final
@dataclass(frozen=True)
class Load:
    """A model and the global batch on which it is trained."""

    model: Mapping[str, Any]
    batch_size: int


@final
@dataclass(frozen=True)
class Cost:
    """Seconds of a training step: by the clock, and of the processors of all processes."""

    wall: float
    cpu: float


_gaussian = {"class_path": "GaussianVAE", "init_args": {"latent_size": 50}}
_discrete = {"class_path": "DiscreteVAE"}
LOADS = {
    "Gaussian, 784-200-200-50, batch 100": Load(_gaussian, 100),
    "discrete, 784-200-200-200, LeaveOneOut K = 4, batch 500": Load(_discrete, 500),
}
PROCESSES = (1, 2)


@final
class Clocks(Callback):
    """Writes what the steps after the warm-up have cost this process.

    Args:
        folder: where each process writes a file of its own, by rank.
        num_steps: after the warm-up.
    """

    def __init__(self, folder: str, num_steps: int) -> None:
        self._folder = Path(folder)
        self._last = WARM_UP + num_steps
        self._started = Cost(0.0, 0.0)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Starts after the warm-up, ends with the last step."""
        if trainer.global_step not in (WARM_UP, self._last):
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        now = Cost(time.perf_counter(), time.process_time())
        if trainer.global_step == WARM_UP:
            self._started = now
            return
        spent = Cost(now.wall - self._started.wall, now.cpu - self._started.cpu)
        (self._folder / f"{trainer.global_rank}.json").write_text(json.dumps(asdict(spent)))


def configuration(load: Load, processes: int, num_steps: int, folder: Path, device: torch.device) -> dict[str, Any]:
    """The configuration of a run, as a file of `reparam_suite.fit`."""
    clocks = {"class_path": "benchmarks.scaling.Clocks", "init_args": {"folder": str(folder), "num_steps": num_steps}}
    return {
        "model": dict(load.model),
        "data": {
            "class_path": "Arrays",
            "init_args": {"path": str(folder.parent / "noise.npz"), "batch_size": load.batch_size},
        },
        "trainer": {
            "accelerator": "gpu" if device.type == "cuda" else "cpu",
            "devices": processes,
            "strategy": "ddp" if processes > 1 else "auto",
            "max_steps": WARM_UP + num_steps,
            "limit_val_batches": 0,
            "callbacks": [clocks],
        },
        "record": {"test_data": 0},
        "tracking": {"root": str(folder.parent / "mlruns")},
    }


def run(load: Load, processes: int, num_steps: int, scratch: Path, device: torch.device) -> Cost:
    """A step of one run of the command.

    Raises:
        RuntimeError: with its output, if it failed.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(configuration(load, processes, num_steps, folder, device)))
        command = [sys.executable, "-m", "reparam_suite.fit", "--config", str(config)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with exit code {ended.returncode}: {ended.stderr}")
        spent = [Cost(**json.loads((folder / f"{rank}.json").read_text())) for rank in range(processes)]
    return Cost(wall=max(cost.wall for cost in spent) / num_steps, cpu=sum(cost.cpu for cost in spent) / num_steps)


def compared(costs: Mapping[int, Sequence[Cost]]) -> dict[int, dict[str, Any]]:
    """Ratios over one process, by number of processes, from the costs of the same rounds."""
    alone = costs[1]
    found = {}
    for processes, own in costs.items():
        throughput = Ratio.of([cost.wall for cost in alone], [cost.wall for cost in own])
        found[processes] = {
            "wall_ms": [1e3 * cost.wall for cost in own],
            "cpu_ms": [1e3 * cost.cpu for cost in own],
            "throughput": asdict(throughput),
            "efficiency": throughput.median / processes,
            "cpu": asdict(Ratio.of([cost.cpu for cost in own], [cost.cpu for cost in alone])),
        }
    return found


COLUMNS = (
    "model",
    "processes",
    "wall ms per step",
    "data per second",
    "throughput over one process",
    "range",
    "efficiency",
    "CPU ms per step",
    "CPU over one process",
)


def rows(results: Mapping[str, Mapping[int, Any]]) -> list[list[str]]:
    """The rows of the table of processes."""
    return [
        [
            name,
            str(processes),
            f"{median(result['wall_ms']):.2f}",
            f"{1e3 * LOADS[name].batch_size / median(result['wall_ms']):,.0f}",
            f"{result['throughput']['median']:.2f}",
            f"{result['throughput']['low']:.2f} to {result['throughput']['high']:.2f}",
            f"{100.0 * result['efficiency']:.0f} %",
            f"{median(result['cpu_ms']):.2f}",
            f"{result['cpu']['median']:.2f}",
        ]
        for name, of_load in results.items()
        for processes, result in of_load.items()
    ]


def batch_rows(walls: Mapping[int, Sequence[float]]) -> list[list[str]]:
    """The rows of the table of batches on CUDA, from seconds per step in the same rounds."""
    smallest, *_ = walls
    return [
        [
            str(batch),
            f"{1e3 * median(wall):.3f}",
            f"{batch / median(wall):,.0f}",
            f"{Ratio.of(walls[smallest], wall).median * batch / smallest:.2f}",
        ]
        for batch, wall in walls.items()
    ]


def on_cpu(num_rows: int, rounds: int, scratch: Path) -> Findings:
    """One process, and two."""
    results = {}
    for name, load in LOADS.items():
        num_steps = max(1, num_rows // load.batch_size)
        sides = {count: partial(run, load, count, num_steps, scratch, torch.device("cpu")) for count in PROCESSES}
        results[name] = compared(in_turn(sides, rounds))
    return Findings(
        how=f"{rounds} rounds of {num_rows:,} data",
        listings=[Listing("Processes at the same global batch", COLUMNS, rows(results))],
        content={"rows": num_rows, "rounds": rounds, "loads": results},
        notes=["Throughput against the batch on CUDA is absent: the device was the CPU."],
    )


def on_cuda(num_rows: int, rounds: int, scratch: Path, device: torch.device) -> Findings:
    """One process, at several batches."""
    sides = {
        batch: partial(run, Load(_gaussian, batch), 1, max(200, num_rows // batch), scratch, device)
        for batch in CUDA_BATCHES
    }
    walls = {batch: [cost.wall for cost in costs] for batch, costs in in_turn(sides, rounds).items()}
    columns = ("batch", "ms per step", "data per second", "over the smallest batch")
    return Findings(
        how=f"{rounds} rounds of {num_rows:,} data",
        listings=[Listing("Gaussian, 784-200-200-50, against the batch", columns, batch_rows(walls), num_names=0)],
        content={"rows": num_rows, "rounds": rounds, "seconds_a_step": walls},
        notes=["Processes on the CPU are absent: the device was a GPU."],
    )


def write_noise(file: Path, num_rows: int) -> None:
    """The data: what a step costs does not depend on what is seen."""
    pixels = np.random.default_rng(0).integers(0, 2, (num_rows, NUM_FEATURES), dtype=np.uint8)
    np.savez(file, x_train=pixels, x_valid=pixels[:20], x_test=pixels[:20])


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it."""
    made = parser("scaling", __doc__)
    made.add_argument("--rows", type=at_least(1), default=100_000, help="data on which a round's steps are trained")
    made.add_argument("--rounds", type=at_least(1), default=3)
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        largest = max(CUDA_BATCHES if options.device.type == "cuda" else [load.batch_size for load in LOADS.values()])
        write_noise(scratch / "noise.npz", 20 * largest)
        if options.device.type == "cuda":
            findings = on_cuda(options.rows, options.rounds, scratch, options.device)
        else:
            findings = on_cpu(options.rows, options.rounds, scratch)
    findings.report(options)


if __name__ == "__main__":
    main()
