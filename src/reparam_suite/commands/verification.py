"""`--verify_resume N`: a run of N steps, stopped and resumed in a new process, beside the same run in one piece."""

import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from reparam_suite.commands.options import Options, set_threads
from reparam_suite.running import Observer, Result, Run, RunStopped, Surroundings
from reparam_suite.running.resumption import CONFIG, checkpoint_directory
from reparam_suite.running.verification import (
    Compared,
    compared_metrics,
    compared_states,
    nondeterministic_operations,
)
from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking import RunLogger, Store, TrackingSettings
from reparam_suite.training import LAST, Journal, StopSignals, read_checkpoint


def verify_resume(args: list[str], console: Console, signals: StopSignals) -> int:
    """Trains both, in a temporary store, and prints what is identical and what differs.

    Returns:
        The exit code: 0 if everything is bitwise identical, 1 if not.

    Raises:
        UsageError: if the options cannot be used together with it.
    """
    options = Options.of(args)
    set_threads(options.values)
    num_steps = options.values.verify_resume
    _check(options.values)
    with tempfile.TemporaryDirectory() as directory:
        verified = _Verified(options.run(), num_steps, TrackingSettings(root=Path(directory) / "mlruns"), signals)
        half = num_steps // 2
        console.print(
            f"{num_steps} steps in one piece, and {num_steps} stopped after {half} and resumed in a new process"
        )
        findings = verified.compared()
        for found in findings:
            console.print(str(found), soft_wrap=True)
        for operation in verified.nondeterministic():
            console.print(f"not deterministic on this device: {operation}", soft_wrap=True)
    differs = any(found.difference is not None for found in findings)
    console.print("the resumed run differs" if differs else "the resumed run is bitwise identical")
    return int(differs)


def _check(values: Any) -> None:
    if values.verify_resume < 2:
        raise UsageError(f"--verify_resume: expected at least 2 steps, got {values.verify_resume}")
    for name in ("resume", "seeds"):
        if getattr(values, name) is not None:
            raise UsageError(f"--verify_resume: expected no --{name} beside it, got {getattr(values, name)}")


@final
class _StopAfter(Observer, Callback):
    """Sends this process SIGTERM after a number of steps; without one it stops nothing. No test, no artifacts."""

    tests = in_full = False

    def __init__(self, step: int | None = None) -> None:
        self._step = step
        self.run_id = ""

    def begun(self, logger: RunLogger, journal: Journal) -> Sequence[Callback]:  # noqa: ARG002
        """Itself."""
        self.run_id = logger.run_id
        return [self]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """Stops before the step that would be one too many is over."""
        if self._step is not None and trainer.global_step == self._step - 1:
            os.kill(os.getpid(), signal.SIGTERM)


@final
@dataclasses.dataclass(frozen=True)
class _Verified:
    run: Run
    num_steps: int
    tracking: TrackingSettings
    signals: StopSignals

    def compared(self) -> list[Compared]:
        whole = self._trained(self.num_steps)
        resumed = self._stopped(self.num_steps // 2)
        self._resume(resumed)
        contents = [read_checkpoint(self._directory(run_id) / LAST) for run_id in (whole, resumed)]
        store = Store.open(self.tracking)
        return [*compared_states(*contents), compared_metrics(store, whole, resumed)]

    def nondeterministic(self) -> list[str]:
        if not torch.cuda.is_available():
            return []
        before = torch.is_deterministic_algorithms_warn_only_enabled(), torch.are_deterministic_algorithms_enabled()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            torch.use_deterministic_algorithms(True, warn_only=True)
            try:
                self._trained(self.num_steps)
            finally:
                torch.use_deterministic_algorithms(before[1], warn_only=before[0])
        return nondeterministic_operations([str(warning.message) for warning in warned])

    def _trained(self, num_steps: int, observer: _StopAfter | None = None) -> str:
        run = dataclasses.replace(
            self.run,
            max_steps=num_steps,
            max_epochs=None,
            record=dataclasses.replace(self.run.record, test_data=0),
            tracking=self.tracking,
        )
        surroundings = Surroundings(
            Console(quiet=True), self.signals, relaunch=None, of_command=True, observer=observer or _StopAfter()
        )
        result: Result | None = run.fit_within(surroundings)
        assert result is not None  # one process alone
        return result.run_id

    def _stopped(self, step: int) -> str:
        observer = _StopAfter(step)
        try:
            return self._trained(self.num_steps, observer)
        except RunStopped:
            self.signals.forget()
            return observer.run_id

    def _resume(self, run_id: str) -> None:
        config: dict[str, Any] = yaml.safe_load((self._directory(run_id) / CONFIG).read_text(encoding="utf-8"))
        modules = sorted({path.rpartition(".")[0] for path in _class_paths(config)})
        command = [sys.executable, "-m", "reparam_suite.fit", "--resume", run_id]
        command += ["--tracking.root", str(self.tracking.root), *(["--allow_modules", *modules] if modules else [])]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise UsageError(f"--verify_resume: the run could not be resumed: {ended.stderr.strip()}")

    def _directory(self, run_id: str) -> Path:
        return checkpoint_directory(self.tracking.root, run_id)


def _class_paths(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        if isinstance(path := config.get("class_path"), str) and "." in path:
            yield path
        for value in config.values():
            yield from _class_paths(value)
    elif isinstance(config, list):
        for value in config:
            yield from _class_paths(value)
