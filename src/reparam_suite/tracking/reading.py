"""Reading runs: one, or many at once with one query per thousand runs, and one query per metric for all histories."""

import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from reparam_suite.tracking.mlflow_internals import backend
from reparam_suite.tracking.options import options_of
from reparam_suite.tracking.settings import is_server

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NO_DIGEST = "none"
"""On record for data that have no digest: MLflow wants one of every dataset."""

_RUNS_A_PAGE = 1_000
_RUNS_A_REQUEST = 100
"""Runs in one request for histories: the limit of MLflow's server."""
_POINTS_A_REQUEST = 25_000
"""Points in its answer, likewise."""


@final
@dataclass(frozen=True)
class RecordedRun:
    """A run as it is on record, finished or not.

    Args:
        run_id: in MLflow.
        name: of the run.
        tags: all of them.
        parameters: those that MLflow's page shows, as text.
        metrics: the newest value of each; MLflow's stand-ins for infinities are infinite again.
        status: RUNNING, FINISHED, FAILED or KILLED.
        digest: of the contents of its data; None where they have none.
    """

    run_id: str
    name: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    status: str = "FINISHED"
    digest: str | None = None

    @property
    def options(self) -> Mapping[str, str]:
        """Every option of the run by its dotted name, as text; the parameters where the run records no more."""
        return options_of(self.tags) or self.parameters

    @property
    def is_training(self) -> bool:
        """Whether it has trained a model: comparisons, summaries and other programs' runs have not."""
        return "estimator" in self.tags and "comparison" not in self.tags

    @property
    def estimator(self) -> str:
        """The estimator's name, as runs of the suite record it; empty where there is none."""
        return self.tags.get("estimator", self.parameters.get("estimator", ""))

    @property
    def seed(self) -> int | None:
        """The seed, as runs of the suite record it."""
        text = self.tags.get("seed", self.parameters.get("seed", ""))
        return int(text) if text.isdecimal() else None


def find_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """The run in MLflow's own form, or None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def recorded_runs(
    client: "MlflowClient", experiment_ids: list[str], wanted: str, *, finished: bool = False
) -> Iterator[RecordedRun]:
    """The runs of experiments that MLflow's filter string `wanted` selects, the oldest first; finished ones alone."""
    conditions = [*(["attributes.status = 'FINISHED'"] if finished else []), *([wanted] if wanted else [])]
    order, token = ["attributes.start_time ASC"], None
    while experiment_ids:
        page = client.search_runs(
            experiment_ids, " and ".join(conditions), max_results=_RUNS_A_PAGE, order_by=order, page_token=token
        )
        for run in page:
            data, info = run.data, run.info
            metrics = {name: _value(value) for name, value in data.metrics.items()}
            name = info.run_name or info.run_id
            yield RecordedRun(info.run_id, name, data.tags, data.params, metrics, info.status, _digest(run))
        token = page.token
        if not token:
            return


def tagged_runs(
    client: "MlflowClient", uri: str, experiment_ids: list[str], tag: str, value: str
) -> Iterator[RecordedRun]:
    """The runs of experiments with a value of a tag, the oldest first; the digests of their data are not read."""
    if not is_server(uri):
        yield from _tagged_of_database(client, experiment_ids, tag, value)
        return
    quote = "'" if '"' in value else '"'
    yield from recorded_runs(client, experiment_ids, f"tags.`{tag}` = {quote}{value}{quote}")


def _tagged_of_database(
    client: "MlflowClient", experiment_ids: list[str], tag: str, value: str
) -> Iterator[RecordedRun]:
    # MLflow's search makes objects of every tag, parameter and metric: of 5,000 runs it takes several times as long.
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag

    tables: list[Any] = [SqlRun, SqlTag, SqlParam, SqlLatestMetric]
    run, tags, parameters, metrics = tables
    with backend(client).ManagedSessionMaker(read_only=True) as session:
        wanted = (
            run.experiment_id.in_([int(experiment_id) for experiment_id in experiment_ids]),
            run.lifecycle_stage == "active",
        )
        query = session.query(run.run_uuid, run.name, run.status).join(tags, tags.run_uuid == run.run_uuid)
        found = query.filter(*wanted, tags.key == tag, tags.value == value).order_by(run.start_time, run.run_uuid).all()
        for first in range(0, len(found), _RUNS_A_PAGE):
            page = found[first : first + _RUNS_A_PAGE]
            ids = [run_id for run_id, _, _ in page]
            texts: list[dict[str, dict[str, str]]] = []
            for table in (tags, parameters):
                own: dict[str, dict[str, str]] = {run_id: {} for run_id in ids}
                for run_id, key, text in session.query(table.run_uuid, table.key, table.value).filter(
                    table.run_uuid.in_(ids)
                ):
                    own[run_id][key] = text
                texts.append(own)
            numbers: dict[str, dict[str, float]] = {run_id: {} for run_id in ids}
            columns = (metrics.run_uuid, metrics.key, metrics.value, metrics.is_nan)
            for run_id, key, number, is_nan in session.query(*columns).filter(metrics.run_uuid.in_(ids)):
                numbers[run_id][key] = math.nan if is_nan else _value(number)
            for run_id, name, status in page:
                yield RecordedRun(run_id, name or run_id, texts[0][run_id], texts[1][run_id], numbers[run_id], status)


def _digest(run: "Run") -> str | None:
    recorded = [dataset.dataset.digest for dataset in run.inputs.dataset_inputs] if run.inputs else []
    return next((digest for digest in recorded if digest != NO_DIGEST), None)


def _value(stored: float) -> float:
    # MLflow stores an infinity as the largest finite number.
    return math.copysign(math.inf, stored) if abs(stored) == sys.float_info.max else stored


def histories(client: "MlflowClient", uri: str, run_ids: Sequence[str], key: str) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of a metric by run; runs without it are left out."""
    points = _of_server(client, run_ids, key) if is_server(uri) else _of_database(client, run_ids, key)
    found: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for run_id, step, value in points:
        found[run_id].append((step, _value(value)))
    return {run_id: sorted(curve) for run_id, curve in found.items()}


def _of_database(client: "MlflowClient", run_ids: Sequence[str], key: str) -> Iterator[tuple[str, int, float]]:
    # MLflow's client asks for one run at a time, and its store makes an object of every point: ten times as slow.
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    table: Any = SqlMetric
    store = backend(client)
    with store.ManagedSessionMaker(read_only=True) as session:
        for first in range(0, len(run_ids), _RUNS_A_PAGE):
            some = run_ids[first : first + _RUNS_A_PAGE]
            points = session.query(table.run_uuid, table.step, table.value, table.is_nan)
            for run_id, step, value, is_nan in points.filter(table.key == key, table.run_uuid.in_(some)):
                yield run_id, step, math.nan if is_nan else value


def _of_server(client: "MlflowClient", run_ids: Sequence[str], key: str) -> Iterator[tuple[str, int, float]]:
    # The request of MLflow's own page. It cuts long answers off without a word: then run by run.
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    credentials, road = backend(client).get_host_creds(), "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    for first in range(0, len(run_ids), _RUNS_A_REQUEST):
        some = run_ids[first : first + _RUNS_A_REQUEST]
        asked: dict[str, Any] = {"run_id": some, "metric_key": key, "max_results": _POINTS_A_REQUEST}
        answer = verify_rest_response(http_request(credentials, road, "GET", params=asked), road)
        points = answer.json()["metrics"]
        if len(points) < _POINTS_A_REQUEST:
            yield from ((point["run_id"], int(point.get("step", 0)), float(point["value"])) for point in points)
            continue
        for run_id in some:
            for point in client.get_metric_history(run_id, key):
                yield run_id, point.step, point.value
