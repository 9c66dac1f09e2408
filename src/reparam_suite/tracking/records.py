"""Records of a run. Each entry can be sent again without harm, and is written to a spool as one line."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, final

from typing_extensions import override

from reparam_suite.tracking.locations import Locations, local_directory
from reparam_suite.tracking.staging import discard, place

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel as Model

Status = Literal["FINISHED", "FAILED", "KILLED"]

# MLflow's limit on the parameters and on the tags of one call.
_BATCH = 100

# The tag by which a model is known again.
_TOKEN = "reparam_suite.token"


@final
@dataclass(frozen=True)
class Destination:
    """An existing MLflow run."""

    client: "MlflowClient"
    run_id: str
    experiment_id: str
    artifact_uri: str
    staging: Path  # the directory in which records' paths lie
    locations: Locations | None = None  # of a database, which may say that files are elsewhere


@final
class Point(NamedTuple):
    """One value of one metric; `timestamp` in milliseconds. MLflow keeps equal points once.

    A tuple and no `Record`: there are thousands, and a thousand go into one call.
    """

    key: str
    value: float
    timestamp: int
    step: int


@final
class Rejected(Exception):  # noqa: N818 - it says what happened to the entries
    """The store answers and does not want these entries: to send them again is no use."""


@final
class Undelivered(Exception):  # noqa: N818 - it says what happened to the entry
    """The store answers, and a file cannot be delivered now. Its cause says why."""


class Record(ABC):
    """Something other than a metric that a run sends.

    Attributes:
        is_file: whether it is one that others need not wait for.
    """

    is_file: ClassVar[bool] = False

    @abstractmethod
    def send(self, to: Destination) -> None:
        """Delivers it; raises if that failed."""


Entry = Point | Record


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
        from mlflow.exceptions import MlflowException

        entity = Entity(
            name=self.name,
            digest=self.digest,
            source_type="http" if self.source.startswith(("http://", "https://")) else "local",
            source=json.dumps({"url" if "://" in self.source else "uri": self.source}),
            profile=json.dumps(self.sizes),
        )
        inputs = [DatasetInput(entity, [InputTag("mlflow.data.context", self.context)])]
        try:
            to.client.log_inputs(to.run_id, inputs)
        except MlflowException as error:
            # MLflow looks for the dataset, then adds it: of two that do so at once the second is refused.
            if not any(name in str(error) for name in ("IntegrityError", "UniqueViolation")):
                raise
            to.client.log_inputs(to.run_id, inputs)


@final
@dataclass(frozen=True)
class Artifact(Record):
    """A file that is staged under `path` and is to become `directory`/name among the run's artifacts."""

    is_file = True
    path: str
    directory: str | None

    @override
    def send(self, to: Destination) -> None:
        local = local_directory(to.artifact_uri)
        staged = to.staging / self.path
        if not staged.exists():
            if not self._arrived(to, staged.name):
                raise Rejected(f"{staged}, to be recorded as an artifact, is gone")
            return
        if local is None:
            to.client.log_artifact(to.run_id, str(staged), self.directory)
        else:
            place(staged, local / (self.directory or "") / staged.name)
        discard(staged)

    def _arrived(self, to: Destination, name: str) -> bool:
        # It went there before, and only the answer was lost.
        path = f"{self.directory}/{name}" if self.directory else name
        return any(file.path == path for file in to.client.list_artifacts(to.run_id, self.directory))


@final
@dataclass(frozen=True)
class LoggedModel(Record):
    """A model in MLflow's format, staged in the directory `path`; `token` is its own and no other's."""

    is_file = True
    path: str
    name: str
    token: str

    @override
    def send(self, to: Destination) -> None:
        from mlflow.entities import LoggedModelOutput

        staged = to.staging / self.path
        model = self._created(to)
        if staged.exists():
            _sign(staged, model, to.run_id)
            local = local_directory(model.artifact_location)
            if local is None:
                to.client.log_model_artifacts(model.model_id, str(staged))
            else:
                place(staged, local)
        elif not to.client.list_logged_model_artifacts(model.model_id):
            raise Rejected(f"{staged}, to be recorded as a model, is gone")
        to.client.finalize_logged_model(model.model_id, "READY")
        to.client.log_outputs(to.run_id, [LoggedModelOutput(model.model_id, step=0)])
        discard(staged)

    def _created(self, to: Destination) -> "Model":
        # MLflow makes a new model at each call: one that was made before, and only the answer was lost, is looked for.
        models = to.client.search_logged_models([to.experiment_id], filter_string=f"source_run_id='{to.run_id}'")
        for model in models:
            if model.tags.get(_TOKEN) == self.token:
                return model
        tags = {_TOKEN: self.token}
        model = to.client.create_logged_model(to.experiment_id, name=self.name, source_run_id=to.run_id, tags=tags)
        return model if to.locations is None else to.locations.of_model(model)


@final
@dataclass(frozen=True)
class End(Record):
    """The end of the run; `time` in milliseconds."""

    status: Status
    time: int

    @override
    def send(self, to: Destination) -> None:
        to.client.set_terminated(to.run_id, self.status, self.time)


_KINDS: dict[str, type[Record]] = {cls.__name__: cls for cls in (Parameters, Tags, Dataset, Artifact, LoggedModel, End)}


def to_line(entry: Entry) -> bytes:
    r"""A line of a spool file: a point is a list, a record a mapping with its kind.

    >>> to_line(Point("train/elbo", -104.2, 1700000000000, 50))
    b'["train/elbo", -104.2, 1700000000000, 50]\n'
    """
    content = entry if isinstance(entry, Point) else {"kind": type(entry).__name__, **vars(entry)}
    return json.dumps(content).encode() + b"\n"


def from_line(line: bytes) -> Entry:
    """The inverse of `to_line`.

    Raises:
        ValueError: if the line is something else.
    """
    content = json.loads(line)
    try:
        return Point(*content) if isinstance(content, list) else _KINDS[content.pop("kind")](**content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"line of a spool: expected a point or a record, got {line[:80]!r}") from error


def send(to: Destination, entries: Sequence[Entry]) -> None:
    """Sends points, at most 1,000, or one record.

    Raises:
        Rejected: if the store answers that it does not want them.
        Undelivered: if the store answers, and a file cannot be delivered.
    """
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    points = [Metric(*entry) for entry in entries if isinstance(entry, Point)]
    try:
        if points:
            to.client.log_batch(to.run_id, metrics=points, synchronous=True)
        for entry in entries:
            if isinstance(entry, Record):
                entry.send(to)
    except Rejected:
        raise
    except Exception as error:
        if isinstance(error, MlflowException) and error.error_code == "INVALID_PARAMETER_VALUE":
            raise Rejected(str(error)) from error
        if any(isinstance(entry, Record) and entry.is_file for entry in entries):
            to.client.get_run(to.run_id)  # raises if it is the store that is away
            raise Undelivered(str(error)) from error
        raise


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots: {"a": {"b": 1}} becomes {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _sign(staged: Path, model: "Model", run_id: str) -> None:
    from mlflow.models import Model as Description

    description = Description.load(str(staged))
    description.run_id, description.model_id, description.model_uuid = run_id, model.model_id, model.model_id
    description.artifact_path = model.artifact_location
    description.save(str(staged / "MLmodel"))
