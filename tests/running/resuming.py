"""A run that was stopped, and what becomes of it when it resumes with other options, seen at its next step."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from rich.console import Console

from reparam_suite import Run
from reparam_suite.running import Observer, Surroundings
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import RecordSettings, StopSignals

SHORT = {"max_steps": 6, "record": RecordSettings(every=4, gradients_every=1_000, test_data=0)}
"""Arguments of a run of six steps."""


class Seen(Exception):  # noqa: N818 - it says what happened
    """The first step after the resumption begins."""


class _Probe(Callback):
    def __init__(self, seen: list[Any], look: Callable[[Any, Any], Any]) -> None:
        self.seen, self.look = seen, look

    def on_train_batch_start(self, trainer, pl_module, *_) -> None:
        self.seen.append(self.look(trainer, pl_module))
        raise Seen


class Look(Observer):
    """Looks at the trainer and the model before the next step, and ends the run there."""

    tests = in_full = False

    def __init__(self, look: Callable[[Any, Any], Any]) -> None:
        self.seen: list[Any] = []
        self.look = look

    def begun(self, logger, journal):
        return [_Probe(self.seen, self.look)]


class Brief(Observer):
    """Neither tests nor draws."""

    tests = in_full = False


@dataclass
class Stopped:
    """A run on record, and a copy of all that is on record of it for each use.

    Args:
        root: of its store.
        run_id: of the run.
        directory: for copies.
        told: lines that the user was told.
    """

    root: Path
    run_id: str
    directory: Path
    told: list[str]

    @classmethod
    def after(cls, run: Run, directory: Path) -> "Stopped":
        """A run that has finished, on record below `directory`."""
        root = directory / "mlruns"
        result = fit(replace(run, tracking=TrackingSettings(root=root)), Brief())
        return cls(root, result.run_id, directory, [])

    def copy(self, directory: Path) -> "Stopped":
        shutil.copytree(self.root, directory / "mlruns")
        return Stopped(directory / "mlruns", self.run_id, directory, [])

    @property
    def tracking(self) -> TrackingSettings:
        return TrackingSettings(root=self.root)

    def look(self, look: Callable[[Any, Any], Any] = lambda *_: None, **changes: Any) -> Any:
        """The result of `look` before the first step with other arguments of `Run`."""
        observer = Look(look)
        run = Run.resume(self.run_id, tracking=self.tracking, max_steps=20, **changes)
        try:
            fit(run, observer, self.told)
        except Seen:
            return observer.seen[0]
        raise AssertionError("no step was taken")

    def state(self) -> Mapping[str, Any]:
        """Everything that is on record, files as digests."""
        folder = self.root / "checkpoints" / self.run_id
        run = Store.open(self.tracking).run(self.run_id)
        artifacts = Path(str(run.info.artifact_uri).removeprefix("file://"))
        return {
            "files": {
                str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for place in (folder, artifacts)
                for path in sorted(place.rglob("*"))
                if path.is_file()
            },
            "spools": sorted(path.name for path in (self.root / "spool").glob("*")),
            "status": run.info.status,
            "end": run.info.end_time,
            "tags": dict(run.data.tags),
            "parameters": dict(run.data.params),
            "metrics": dict(run.data.metrics),
        }


def fit(run: Run, observer: Observer, told: list[str] | None = None) -> Any:
    """Trains with an observer."""
    tell = print if told is None else told.append
    return run.fit_within(Surroundings(Console(quiet=True), StopSignals(), None, tell=tell, observer=observer))
