"""Cost of a sweep beside its trainings, and of the table of a large one.

    OMP_NUM_THREADS=1 python -m benchmarks.sweep [--runs 8] [--steps 500] [--worker_runs 24] [--table_runs 5000]

A run's overhead is the processor time from the end of its test to the beginning of the next training in the same
worker: the end of its record, making the next model and data, its MLflow run. It is held against trainings and tests,
validations and checkpoints included. Every run after the worker's first counts.

Two workers are compared with one by the wall time of a whole sweep, the start of the processes included: that of the
command, from its start to its end, and that of the call in Python, whose process has imported the suite before. The
machine must have two cores with nothing else to do.

The table is that of made-up runs in a real store, written into MLflow's tables at once: 60 metrics, 40 parameters and
25 tags each, 50 combinations.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import yaml
from benchmarks.measuring import Findings, Listing, at_least, parser
from benchmarks.study import Gaps
from lightning.pytorch import Callback
from sqlalchemy import insert

from reparam_suite.commands.file_runs import Budget, RunsOfFile
from reparam_suite.running import Run
from reparam_suite.sweeps import Sweep, SweepResult
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.records import tags_of
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.tracking.mlflow_internals import backend
from reparam_suite.workers import MakeRun

BASE = Path(__file__).parents[1] / "conf" / "discrete_vae.yaml"
GRID = {"model.estimator": ["DisARM", "ReinMax"], "model.latent_size": [20]}
TARGET_SECONDS, TARGET_SHARE, TARGET_GAIN, TARGET_TABLE = 1.5, 0.1, 1.8, 10.0
NUM_METRICS, NUM_PARAMETERS, NUM_TAGS, NUM_COMBINATIONS = 60, 40, 25, 50


def overhead(directory: Path, num_runs: int, steps: int, now: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Seconds between trainings, and of trainings, of a worker in this process."""
    tracking, gaps = TrackingSettings(root=directory / "mlruns"), Gaps(now)
    runs = RunsOfFile(BASE, {"record.test_data": 0}, Budget(steps=steps), tracking)
    Sweep(_noted(gaps, runs), grid=GRID, seeds=range(-(-num_runs // 2)), name="overhead").run()
    trainings = [end - begin for begin, end in zip(gaps.began, gaps.ended, strict=True)]
    return gaps.seconds(), trainings[1:]


def command_seconds(directory: Path, num_runs: int, steps: int, workers: int) -> float:
    """Wall time of the command of the same sweep, in a process of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = {
        "name": "workers of a command",
        "base": str(BASE),
        "options": {"record.test_data": 0},
        "budget": {"steps": steps},
        "grid": GRID,
        "seeds": list(range(-(-num_runs // 2))),
        "table": None,
    }
    file = directory / f"{workers}.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    program = [sys.executable, "-m", "reparam_suite.sweep", "--config", str(file), "--workers", str(workers)]
    start = time.perf_counter()
    root = str(directory / f"{workers}" / "commands")
    subprocess.run([*program, "--tracking.root", root], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def sweep_seconds(directory: Path, num_runs: int, steps: int, workers: int) -> float:
    """Wall time of a sweep with so many workers."""
    tracking = TrackingSettings(root=directory / f"{workers}" / "mlruns")
    runs = RunsOfFile(BASE, {"record.test_data": 0}, Budget(steps=steps), tracking)
    start = time.perf_counter()
    result = Sweep(runs, grid=GRID, seeds=range(-(-num_runs // 2)), name="workers", workers=workers).run()
    seconds = time.perf_counter() - start
    assert (result.frame["status"] == "FINISHED").all()
    return seconds


def _noted(gaps: Gaps, make_run: MakeRun) -> MakeRun:
    # A run ends with its test.
    noted = gaps.between(make_run)

    def made(**values: Any) -> Run:
        run = noted(**values)
        return replace(run, trainer={**run.trainer, "callbacks": [*run.trainer["callbacks"], _Tests(gaps)]})

    return made


@final
class _Tests(Callback):
    def __init__(self, gaps: Gaps) -> None:
        self._gaps = gaps

    def on_test_end(self, *_: Any) -> None:
        self._gaps.ended[-1] = self._gaps.now()


def fill(tracking: TrackingSettings, num_runs: int) -> None:
    """Writes finished runs of a sweep into MLflow's tables."""
    from mlflow import MlflowClient
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag

    store = Store.open(tracking)
    seeds = range(-(-num_runs // NUM_COMBINATIONS))
    cells = Grid({"rate": [0.1 * k for k in range(NUM_COMBINATIONS)]}).with_seeds(seeds)[:num_runs]
    rows: dict[Any, list[dict[str, Any]]] = {SqlRun: [], SqlTag: [], SqlParam: [], SqlLatestMetric: []}
    for number, cell in enumerate(cells):
        run_id = f"{number:032x}"
        rows[SqlRun].append(
            {
                "run_uuid": run_id,
                "name": f"run {number}",
                "user_id": "",
                "source_type": "LOCAL",
                "status": "FINISHED",
                "start_time": number,
                "end_time": number + 1,
                "lifecycle_stage": "active",
                "experiment_id": int(store.experiment_id),
            }
        )
        tags = {**tags_of("made up", cell), "seed": str(cell.seed)}
        tags |= {f"tag{k}": "text" for k in range(NUM_TAGS - len(tags))}
        rows[SqlTag] += [{"run_uuid": run_id, "key": key, "value": value} for key, value in tags.items()]
        rows[SqlParam] += [{"run_uuid": run_id, "key": f"p{k}", "value": "text"} for k in range(NUM_PARAMETERS)]
        rows[SqlLatestMetric] += [
            {
                "run_uuid": run_id,
                "key": f"test/m{k}",
                "value": float(k + cell.seed),
                "timestamp": 0,
                "step": 1,
                "is_nan": False,
            }
            for k in range(NUM_METRICS)
        ]
    with backend(MlflowClient(tracking.resolved_uri())).ManagedSessionMaker() as session:
        for table, entries in rows.items():
            session.execute(insert(table), entries)


def table_seconds(directory: Path, num_runs: int) -> float:
    """Processor seconds of a table of so many runs."""
    tracking = TrackingSettings(root=directory)
    fill(tracking, num_runs)
    start = time.process_time()
    table = SweepResult.load("made up", tracking=tracking).table(rows="rate", columns=["test/m0", "test/m1"])
    seconds = time.process_time() - start
    assert table.frame["n"].sum() == num_runs
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables and writes them."""
    made: argparse.ArgumentParser = parser("sweep", __doc__)
    made.add_argument("--runs", type=at_least(4), default=8)
    made.add_argument("--steps", type=at_least(1), default=500, help="of a run")
    made.add_argument("--worker_runs", type=at_least(2), default=24, help="of the sweeps with one and two workers")
    made.add_argument("--table_runs", type=at_least(1), default=5_000)
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        gaps, trainings = overhead(Path(scratch) / "runs", options.runs, options.steps, time.process_time)
        size = (options.worker_runs, options.steps)
        one, two = (sweep_seconds(Path(scratch), *size, workers) for workers in (1, 2))
        command_of_one, command_of_two = (command_seconds(Path(scratch), *size, workers) for workers in (1, 2))
        table = table_seconds(Path(scratch) / "table", options.table_runs)
    share = sum(gaps) / sum(trainings)
    rows = [
        ["between a test and the next training", f"{statistics.median(gaps):.2f} s", f"below {TARGET_SECONDS} s"],
        [f"a training of {options.steps} steps and its test", f"{statistics.median(trainings):.2f} s", ""],
        ["the former over the latter", f"{100 * share:.1f} %", f"at most {100 * TARGET_SHARE:.0f} %"],
        [f"the command of {options.worker_runs} such runs, one worker", f"{command_of_one:.1f} s", ""],
        ["the same with two workers", f"{command_of_two:.1f} s", ""],
        ["the former over the latter", f"{command_of_one / command_of_two:.2f}", f"at least {TARGET_GAIN}"],
        ["the call of the same sweep in Python, one worker", f"{one:.1f} s", ""],
        ["the same with two workers", f"{two:.1f} s", ""],
        ["the former over the latter", f"{one / two:.2f}", f"at least {TARGET_GAIN}"],
        [f"a table of {options.table_runs:,} runs", f"{table:.1f} s", f"below {TARGET_TABLE:.0f} s"],
    ]
    Findings(
        how=f"{len(gaps)} runs after the first, processor time of one thread; workers by wall time",
        listings=[Listing("A sweep beside its trainings", ("what", "measured", "target"), rows)],
        content={"between_trainings": gaps, "trainings": trainings, "table": table}
        | {"commands": [command_of_one, command_of_two], "calls": [one, two]},
    ).report(options)


if __name__ == "__main__":
    main()
