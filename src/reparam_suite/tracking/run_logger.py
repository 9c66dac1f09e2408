"""One MLflow run, written to by Lightning and by us."""

import atexit
import json
import logging
import os
import shutil
import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, final
from uuid import uuid4

import numpy as np
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from reparam_suite.tracking.exported_model import save_model
from reparam_suite.tracking.locations import local_directory
from reparam_suite.tracking.names import LONGEST, check_key, parameter_texts
from reparam_suite.tracking.options import option_tags
from reparam_suite.tracking.outbox import Outbox
from reparam_suite.tracking.records import (
    Artifact,
    Dataset,
    Destination,
    End,
    LoggedModel,
    Parameters,
    Point,
    Status,
    Tags,
    send,
)
from reparam_suite.tracking.redaction import redact
from reparam_suite.tracking.settings import TrackingSettings
from reparam_suite.tracking.spool import Spool
from reparam_suite.tracking.staging import second_name
from reparam_suite.tracking.waiting_files import WaitingFiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.entities import Run

# Seconds that the end of a run waits for a store that takes nothing.
PATIENCE = 10.0

# MLflow's limit, in characters.
_LONGEST_TAG = 8000

_log = logging.getLogger(__name__)


@final
class RunLogger(Logger):
    """An MLflow run. Nothing here waits for the store, save `flush` and the ends of training and of the run.

    Metrics, tags and copies of files go to a `Spool` under `root`/spool/`run_id`, from where an `Outbox` delivers them.
    What the store has not taken when the process ends, or is killed, stays there. A disk that is full stops nothing:
    see `WaitingFiles`.

    Made by `Store.start_run` and `Store.resume_run`. `close` ends the run; a process that exits without it leaves
    the run FAILED, or KILLED after Ctrl-C. A resumed run comes by names and steps again that are `recorded` already.
    """

    def __init__(
        self,
        *,
        destination: Destination,
        run: "Run",
        spool: Spool,
        settings: TrackingSettings,
        store: str,
        recorded: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self._to = destination
        self._run_name = run.info.run_name or destination.run_id
        self._settings = settings
        self._store = redact(store)
        self._root = settings.root.absolute()  # the working directory may change
        self._parameters: dict[str, str] = dict(run.data.params)
        self._names: set[str] = set()
        self.recorded = recorded
        self._spool = spool
        self._failed = False
        self._ended = False
        self._pid = os.getpid()
        self._outbox = Outbox(
            spool=spool, deliver=lambda entries: send(destination, entries), name=f"tracking store {self._store}"
        )
        self._staging = WaitingFiles(
            spool,
            put=lambda record: self._outbox.put([record], urgent=True),
            warn=lambda told: _log.warning("%s", told),
        )
        atexit.register(self._at_exit)

    @property
    def run_id(self) -> str:
        """MLflow's id of the run."""
        return self._to.run_id

    @property
    def run_name(self) -> str:
        """The name of the run."""
        return self._run_name

    @property
    def name(self) -> str:
        """The experiment: what Lightning calls a logger's name."""
        return self._settings.experiment

    @property
    def version(self) -> str:
        """The run's id: what Lightning calls a version."""
        return self.run_id

    @property
    def experiment_id(self) -> str:
        """MLflow's id of the experiment."""
        return self._to.experiment_id

    @property
    def save_dir(self) -> str:
        """The root directory on this machine."""
        return str(self._root)

    @property
    def artifact_uri(self) -> str:
        """The URI of the run's artifacts."""
        return self._to.artifact_uri

    @property
    def artifact_dir(self) -> Path | None:
        """The directory of the run's artifacts, if it is on this machine."""
        return local_directory(self._to.artifact_uri)

    def log_metrics(self, metrics: Mapping[str, float | Tensor], step: int | None = None) -> None:
        """Records numbers at a step. NaN stays NaN; MLflow stores an infinity as +-1.797e308.

        What an earlier process of the same run has recorded at a step is not recorded again.

        Raises:
            ValueError: if MLflow does not allow a name.
        """
        if not self._names.issuperset(metrics):
            for name in metrics:
                check_key("name of a metric", name)
            self._names.update(metrics)
        now = int(time.time() * 1000)
        at = 0 if step is None else step
        self._outbox.put(
            Point(name, float(value), now, at) for name, value in metrics.items() if (name, at) not in self.recorded
        )

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Records parameters, nested ones with dots. One that changed keeps its value; a tag has the new one."""
        values = vars(params) if isinstance(params, Namespace) else params
        texts = parameter_texts(values)
        new = {key: text for key, text in texts.items() if key not in self._parameters}
        changed = {
            f"changed.{key}"[:LONGEST]: text for key, text in texts.items() if self._parameters.get(key, text) != text
        }
        self._parameters |= new
        if new:
            self._outbox.put([Parameters(new)], urgent=True)
        if changed:
            self.set_tags(changed)

    def log_options(self, options: Mapping[str, Any]) -> None:
        """Records every option, nested or flat, in the place of those of before."""
        self._outbox.put([Tags(option_tags(parameter_texts(options)))], urgent=True)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        values = {key: redact(str(value))[:_LONGEST_TAG] for key, value in tags.items()}
        self._outbox.put([Tags(values)], urgent=True)

    def log_artifact(self, path: Path | str, directory: str | None = None, *, unchanging: bool = False) -> None:
        """Copies the file now and records the copy, as `directory`/name.

        An `unchanging` file may be replaced, and is never written to: a hard link to it takes no room.

        Raises:
            FileNotFoundError: if there is no such file.
        """
        source = Path(path)
        if not source.is_file():
            raise FileNotFoundError(f"there is no file {source} to record as an artifact")
        write = partial(second_name if unchanging else shutil.copyfile, source)
        self._put_file(f"{directory}/{source.name}" if directory else source.name, write)

    def log_text(self, text: str, name: str) -> None:
        """Records a text file called `name`, which may have directories."""
        self._put_file(name, lambda staged: staged.write_text(redact(text), encoding="utf-8"))

    def log_dict(self, values: Mapping[str, Any], name: str) -> None:
        """Records a mapping as JSON."""
        self.log_text(json.dumps(values, indent=2, default=str) + "\n", name.removesuffix(".json") + ".json")

    def log_arrays(self, arrays: Mapping[str, Tensor], name: str) -> None:
        """Records arrays as one .npz file, for `numpy.load`."""
        plain: dict[str, Any] = {key: array.detach().cpu().numpy() for key, array in arrays.items()}
        self._put_file(name.removesuffix(".npz") + ".npz", lambda staged: np.savez(staged, **plain))

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Records a matplotlib figure as PNG; one of pyplot's is closed."""
        self._put_file(name.removesuffix(".png") + ".png", lambda staged: figure.savefig(staged, format="png"))
        if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
            pyplot.close(figure)

    def log_dataset(self, name: str, digest: str, source: str, sizes: Mapping[str, int], context: str) -> None:
        """Records which data the run used.

        Args:
            name: of the dataset.
            digest: of its contents; MLflow keeps 36 characters.
            source: a path or URL.
            sizes: the number of data per split.
            context: what it was used for, for example "training".
        """
        self._outbox.put([Dataset(name, digest[:36], redact(source), dict(sizes), context)], urgent=True)

    def log_model(self, module: nn.Module, example: Tensor, name: str = "model", **options: Any) -> None:
        """Records a module for MLflow's `load_model("runs:/RUN_ID/NAME")`, as traced graphs, without pickle.

        Args:
            module: x [B, *event] -> a tensor, or a mapping or tuple of tensors; deterministic.
            example: [B, *event], float32.
            name: of the model.
            options: integers x and further graphs, see `exported_model.save_model`.
        """
        self._staging.stage(
            name,
            lambda staged: save_model(module, example, staged, **options),
            lambda path: LoggedModel(path, name, token=uuid4().hex),
        )

    def save(self) -> None:
        """Lightning calls it now and then; the thread that sends needs no reminder."""

    def flush(self, timeout: float) -> bool:
        """Waits until everything is in the store; False if that took longer than `timeout` seconds."""
        return self._outbox.flush(timeout)

    def finalize(self, status: str) -> None:
        """Sends everything, and remembers a failure. Lightning calls it while there is more to record: see `close`."""
        self._failed |= status not in ("success", "finished")
        if not self._outbox.failing:  # the end of the run will wait for a store that is away; once is enough
            self._outbox.drain(PATIENCE)

    def close(self, status: Status) -> None:
        """Sends everything and ends the run. The first status counts, but a failure seen before is no success.

        Waits `PATIENCE` seconds at most for a store that takes nothing; what is unsent then stays in the spool, and a
        warning says so and names the command that sends it.
        """
        if not self._ended:
            self._ended = True
            self._stage_the_rest()
            actual: Status = "FAILED" if self._failed and status == "FINISHED" else status
            self._outbox.put([End(actual, int(time.time() * 1000))], urgent=True)
        rest = self._outbox.stop(PATIENCE)
        if rest.unsent or rest.unwritten:
            lost = f", and {rest.unwritten} are lost, since the disk was full" if rest.unwritten else ""
            self._warn(
                f"did not receive all of run {self.run_id}: {rest.unsent} records are kept in {self._spool.directory}"
                f"{rest.files}{lost}; to send them when it is back: {self._settings.sync_command()}"
            )
        if rest.refused:
            self._warn(f"refused {rest.refused} records of run {self.run_id}; they are kept in {self._spool.refused}")

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:  # a forked child has the run, but not the thread
            interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
            self.close("KILLED" if interrupted else "FAILED")

    def _put_file(self, name: str, write: Callable[[Path], object]) -> None:
        target = PurePosixPath(name)
        if target.is_absolute() or ".." in target.parts or target.name == "":
            raise ValueError(f"name of an artifact: expected a relative path without '..', got {name!r}")
        directory = None if target.parent == PurePosixPath() else str(target.parent)
        self._staging.stage(target.name, write, lambda path: Artifact(path, directory))

    def _stage_the_rest(self) -> None:
        # What is sent leaves room for what waits.
        self._staging.retry()
        if self._staging.waiting:
            self._outbox.drain(PATIENCE)
            self._staging.retry()
        if missing := ", ".join(self._staging.waiting):
            self._warn(f"has no room for files of run {self.run_id}, which are not on record: {missing}")
            self.set_tags({"missing_files": missing})

    def _warn(self, message: str) -> None:
        warnings.warn(f"the tracking store {self._store} {message}", stacklevel=3)
