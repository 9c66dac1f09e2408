"""Cost of a study beside its trainings, and the gain of several workers.

    OMP_NUM_THREADS=1 python -m benchmarks.study [--trials 16] [--steps 600] [--rounds 1]

A trial's overhead is the time from the end of its training, after the last validation and checkpoint, to the beginning
of the next training in the same worker: recording its end, telling the study, claiming and proposing the next trial,
its configuration, model and data, its MLflow run. Every trial after the worker's first counts.

The gain is that of the whole command, start-up and summary included, and of its trials alone, from the first one's
start to the last one's end: one worker of one thread against four, in turn, on one fixed study of random trials.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import optuna
import yaml
from benchmarks.measuring import CLOCKS, PACKAGES, Findings, Listing, Ratio, at_least, in_turn, parser
from lightning.pytorch import Callback

from reparam_suite.running import Run
from reparam_suite.studies.command import StudyCommand
from reparam_suite.studies.command import command as parsed
from reparam_suite.studies.workers import joined, work
from reparam_suite.training import StopSignals
from reparam_suite.workers import MakeRun

BASE = Path(__file__).parents[1] / "conf" / "discrete_vae.yaml"
SPACE = {"model.learning_rate": {"log_float": [1e-4, 1e-2]}, "model.estimator": {"categorical": ["DisARM", "ReinMax"]}}
OVERHEAD_STEPS = 20  # an epoch and a half: the time between trainings does not depend on them
COMMAND = (sys.executable, "-m", "reparam_suite.study")
WORKERS = 4
TARGET_SECONDS, TARGET_GAIN = 0.3, 1.6


@final
@dataclass(frozen=True)
class Gaps:
    """The times between trainings: from the end of one, its last validation and checkpoint included, to the next.

    Args:
        now: the clock.
        began: when trainings began.
        ended: when they ended.
    """

    now: Callable[[], float]
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def seconds(self) -> list[float]:
        """From each end to the next beginning."""
        return [begin - end for end, begin in zip(self.ended[:-1], self.began[1:], strict=True)]

    def between(self, make_run: MakeRun) -> MakeRun:
        """`make_run`, its runs noting when their trainings begin and end."""

        def made(**values: Any) -> Run:
            run = make_run(**values)
            return replace(run, trainer={**run.trainer, "callbacks": [_Notes(self)]})

        return made


@final
class _Notes(Callback):
    def __init__(self, gaps: Gaps) -> None:
        self._gaps = gaps

    def on_train_start(self, *_: Any) -> None:
        self._gaps.began.append(self._gaps.now())

    def on_fit_end(self, *_: Any) -> None:
        self._gaps.ended.append(self._gaps.now())


def study_file(directory: Path, name: str, num_trials: int, steps: int) -> Path:
    """A study of random trials, the same ones for every worker that is alone."""
    content = {
        "name": name,
        "base": str(BASE),
        "space": SPACE,
        "trials": num_trials,
        "budget": {"steps": steps},
        "sampler": {"name": "RandomSampler", "options": {"seed": 0}},
        "options": {"record.test_data": 0},
    }
    file = directory / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def overhead(directory: Path, num_trials: int, now: Callable[[], float]) -> list[float]:
    """Seconds between the trainings of one worker, which runs in this process."""
    file = study_file(directory, "overhead", num_trials, OVERHEAD_STEPS)
    command: StudyCommand = parsed(["--config", str(file), "--tracking.root", str(directory / "mlruns")])
    queue, gaps = joined(command.search, command.database), Gaps(now)
    search = replace(command.search, make_run=gaps.between(command.search.make_run))
    queue.fill()
    try:
        with StopSignals() as signals:
            work(search, queue, signals, call="benchmark")
    finally:
        queue.close()
    return gaps.seconds()


@final
@dataclass
class Commands:
    """The whole command, run several times.

    Args:
        directory: of their records.
        num_trials: of the study.
        steps: of a trial.

    Attributes:
        of_trials: seconds from the first trial's start to the last one's end, by number of workers.
    """

    directory: Path
    num_trials: int
    steps: int
    of_trials: dict[int, list[float]] = field(default_factory=dict)

    def run(self, workers: int) -> float:
        """Seconds of a new study with so many workers.

        Raises:
            subprocess.CalledProcessError: if it fails.
        """
        root = self.directory / f"{workers}-{len(self.of_trials.get(workers, []))}"
        file = study_file(self.directory, "gain", self.num_trials, self.steps)
        started = time.perf_counter()
        subprocess.run(
            [*COMMAND, f"--config={file}", f"--workers={workers}", f"--tracking.root={root}"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        whole = time.perf_counter() - started
        done = optuna.load_study(study_name="gain", storage=f"sqlite:///{root}/optuna.db").get_trials(deepcopy=False)
        began, ended = [trial.datetime_start for trial in done], [trial.datetime_complete for trial in done]
        seconds = max(filter(None, ended)) - min(filter(None, began))
        self.of_trials.setdefault(workers, []).append(seconds.total_seconds())
        return whole


def gain(directory: Path, options: argparse.Namespace) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """Seconds of the command and of its trials, by number of workers, in each round."""
    commands = Commands(directory, options.trials, options.steps)
    sides = {str(workers): (lambda workers=workers: commands.run(workers)) for workers in (1, WORKERS)}
    whole = in_turn(sides, options.rounds)
    return {int(workers): seconds for workers, seconds in whole.items()}, commands.of_trials


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables and writes them."""
    made = parser("study", __doc__)
    made.add_argument("--trials", type=at_least(3), default=16)
    made.add_argument("--steps", type=at_least(1), default=600, help="of a trial, where workers are compared")
    made.add_argument("--rounds", type=at_least(1), default=1, help="of the comparison; every one makes two studies")
    options = made.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    between = {}
    with tempfile.TemporaryDirectory() as scratch:
        for clock, now in CLOCKS.items():
            directory = Path(scratch) / clock
            directory.mkdir()
            between[clock] = overhead(directory, options.trials, now)
        whole, of_trials = gain(Path(scratch), options)
    load = os.getloadavg()[0]
    gains = {"command": Ratio.of(whole[1], whole[WORKERS]), "trials": Ratio.of(of_trials[1], of_trials[WORKERS])}
    Findings(
        how=f"{options.trials} trials, {options.rounds} rounds, {load:.1f} processes wanting to run",
        listings=[
            Listing("Between two trainings of a worker", ("clock", "seconds", "range", "target"), _told(between)),
            Listing(
                f"{WORKERS} workers of one thread against one",
                ("what", "one, s", "four, s", "gain", "target"),
                [
                    _row("the command", whole, gains["command"]),
                    _row("its trials", of_trials, gains["trials"]),
                ],
            ),
        ],
        content={"between_trainings": between, "command": whole, "trials": of_trials, "load": load},
        packages=(*PACKAGES, "optuna"),
    ).report(options)


def _told(between: dict[str, list[float]]) -> list[list[str]]:
    rows = []
    for clock, seconds in between.items():
        median = statistics.median(seconds)
        target = f"below {TARGET_SECONDS}{'*' if median >= TARGET_SECONDS else ''}"
        rows.append([clock, f"{median:.3f}", f"{min(seconds):.3f} to {max(seconds):.3f}", target])
    return rows


def _row(what: str, seconds: dict[int, list[float]], ratio: Ratio) -> list[str]:
    target = f"at least {TARGET_GAIN}{'*' if ratio.median < TARGET_GAIN else ''}"
    return [what, *(f"{statistics.median(seconds[n]):.1f}" for n in (1, WORKERS)), f"{ratio.median:.2f}", target]


if __name__ == "__main__":
    main()
