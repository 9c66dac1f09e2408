"""What a run sends to its store. Each record can be sent again without harm, and written to a spool file."""

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from typing_extensions import override

if TYPE_CHECKING:
    from mlflow import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]

# MLflow's limit on the parameters and on the tags of one call.
_BATCH = 100


@final
@dataclass(frozen=True)
class Destination:
    """An existing MLflow run."""

    client: "MlflowClient"
    run_id: str
    experiment_id: str
    artifact_uri: str


@final
class Point(NamedTuple):
    """One value of one metric; `timestamp` in milliseconds. A store keeps equal points once.

    A tuple and no `Record`: there are thousands, and a thousand go into one call.
    """

    key: str
    value: float
    timestamp: int
    step: int

    def to_json(self) -> dict[str, Any]:
        """A line of a spool file."""
        return {"kind": "Point", **self._asdict()}


def send_points(to: Destination, points: Sequence[Point]) -> None:
    """Sends at most 1,000 points in one call."""
    from mlflow.entities import Metric

    to.client.log_batch(to.run_id, metrics=[Metric(*point) for point in points], synchronous=True)


class Record(ABC):
    """Something other than a metric that a run sends."""

    @abstractmethod
    def send(self, to: Destination) -> None:
        """Delivers it; raises if that failed."""

    def to_json(self) -> dict[str, Any]:
        """A line of a spool file."""
        return {"kind": type(self).__name__, **vars(self)}


@final
@dataclass(frozen=True)
class Parameters(Record):
    """Parameters that the run does not have yet."""

    values: dict[str, str]

    @override
    def send(self, to: Destination) -> None:
        from mlflow.entities import Param

        parameters = [Param(key, value) for key, value in self.values.items()]
        for start in range(0, len(parameters), _BATCH):
            to.client.log_batch(to.run_id, params=parameters[start : start + _BATCH], synchronous=True)


@final
@dataclass(frozen=True)
class Tags(Record):
    """Tags; the last value counts."""

    values: dict[str, str]

    @override
    def send(self, to: Destination) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in self.values.items()]
        for start in range(0, len(tags), _BATCH):
            to.client.log_batch(to.run_id, tags=tags[start : start + _BATCH], synchronous=True)


@final
@dataclass(frozen=True)
class Dataset(Record):
    """A dataset that the run used, by digest."""

    name: str
    digest: str
    source: str
    sizes: dict[str, int]
    context: str

    @override
    def send(self, to: Destination) -> None:
        from mlflow.entities import Dataset as Entity
        from mlflow.entities import DatasetInput, InputTag

        entity = Entity(
            name=self.name,
            digest=self.digest,
            source_type="http" if self.source.startswith(("http://", "https://")) else "local",
            source=json.dumps({"url" if "://" in self.source else "uri": self.source}),
            profile=json.dumps(self.sizes),
        )
        context = InputTag("mlflow.data.context", self.context)
        to.client.log_inputs(to.run_id, [DatasetInput(entity, [context])])


@final
@dataclass(frozen=True)
class Artifact(Record):
    """A file, staged under `path`, that is to become `directory`/name among the run's artifacts."""

    path: Path
    directory: str | None

    @override
    def send(self, to: Destination) -> None:
        local = local_directory(to.artifact_uri)
        if not self.path.exists():  # it went there before, and only the answer was lost
            return
        if local is None:
            to.client.log_artifact(to.run_id, str(self.path), self.directory)
        else:
            _place(self.path, local / (self.directory or "") / self.path.name)
        _discard(self.path)


@final
@dataclass
class LoggedModel(Record):
    """A model in MLflow's format, staged in the directory `path`."""

    path: Path
    name: str
    model_id: str | None = None

    @override
    def send(self, to: Destination) -> None:
        from mlflow.entities import LoggedModelOutput

        if self.model_id is None:
            model = to.client.create_logged_model(to.experiment_id, name=self.name, source_run_id=to.run_id)
            self.model_id = model.model_id
        else:
            model = to.client.get_logged_model(self.model_id)
        if self.path.exists():
            self._sign(model.artifact_location, to.run_id)
            local = local_directory(model.artifact_location)
            if local is None:
                to.client.log_model_artifacts(model.model_id, str(self.path))
            else:
                _place(self.path, local)
        to.client.finalize_logged_model(model.model_id, "READY")
        to.client.log_outputs(to.run_id, [LoggedModelOutput(model.model_id, step=0)])
        _discard(self.path)

    def _sign(self, location: str, run_id: str) -> None:
        from mlflow.models import Model

        description = Model.load(str(self.path))
        description.run_id, description.model_id, description.model_uuid = run_id, self.model_id, self.model_id
        description.artifact_path = location
        description.save(str(self.path / "MLmodel"))


@final
@dataclass(frozen=True)
class End(Record):
    """The end of the run; `time` in milliseconds."""

    status: Status
    time: int

    @override
    def send(self, to: Destination) -> None:
        to.client.set_terminated(to.run_id, self.status, self.time)


def local_directory(uri: str) -> Path | None:
    """The directory that an artifact URI names on this machine, or None."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(uri)


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots: {"a": {"b": 1}} becomes {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _place(source: Path, target: Path) -> None:
    """Moves a file or directory to its final name, which it never has while incomplete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError:  # on another file system: copied beside the target first
        partial = target.with_name(f".{target.name}.incomplete")
        if source.is_dir():
            shutil.copytree(source, partial, dirs_exist_ok=True)
        else:
            shutil.copy2(source, partial)
        os.replace(partial, target)


def _discard(staged: Path) -> None:
    """Removes what was staged, and the directory that was made for it."""
    if staged.is_dir():
        shutil.rmtree(staged)
    staged.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        staged.parent.rmdir()
