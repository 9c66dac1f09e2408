"""Reading runs: one, or many at once with a query a thousand, and a query a metric for all their histories."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from reparam_suite.tracking.settings import is_server

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_RUNS_A_PAGE = 1_000
_RUNS_A_REQUEST = 100
"""Of one request for histories: what MLflow's server takes."""
_POINTS_A_REQUEST = 25_000
"""Likewise."""


@final
@dataclass(frozen=True)
class FinishedRun:
    """The record of a run.

    Args:
        run_id: of the run in MLflow.
        name: of the run.
        tags: all of them.
        parameters: all of them, as text.
        metrics: the newest value of each.
        status: FINISHED, RUNNING, KILLED or FAILED.
    """

    run_id: str
    name: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    status: str = "FINISHED"


def find_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """The run as MLflow tells it, or None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def finished_runs(client: "MlflowClient", experiment_id: str, wanted: str) -> Iterator[FinishedRun]:
    """The finished runs of an experiment that MLflow's filter string `wanted` lets pass, the oldest first."""
    condition = "attributes.status = 'FINISHED'" + (f" and {wanted}" if wanted else "")
    yield from found_runs(client, experiment_id, condition, "attributes.start_time ASC")


def found_runs(client: "MlflowClient", experiment_id: str, condition: str, order: str) -> Iterator[FinishedRun]:
    """The runs of an experiment that an MLflow filter string lets pass, in order."""
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], condition, max_results=_RUNS_A_PAGE, order_by=[order], page_token=token
        )
        for run in page:
            data, info = run.data, run.info
            name = info.run_name or info.run_id
            yield FinishedRun(info.run_id, name, data.tags, data.params, data.metrics, info.status)
        token = page.token
        if not token:
            return


def histories(client: "MlflowClient", uri: str, run_ids: Sequence[str], key: str) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of a metric by run; runs without it are left out."""
    points = _of_server(client, run_ids, key) if is_server(uri) else _of_database(client, run_ids, key)
    found: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for run_id, step, value in points:
        found[run_id].append((step, value))
    return {run_id: sorted(curve) for run_id, curve in found.items()}


def _of_database(client: "MlflowClient", run_ids: Sequence[str], key: str) -> Iterator[tuple[str, int, float]]:
    # MLflow's client asks for one run at a time, and its store makes an object of every point: ten times as slow.
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    table: Any = SqlMetric
    store: Any = client._tracking_client.store
    with store.ManagedSessionMaker(read_only=True) as session:
        for first in range(0, len(run_ids), _RUNS_A_PAGE):
            some = run_ids[first : first + _RUNS_A_PAGE]
            points = session.query(table.run_uuid, table.step, table.value, table.is_nan)
            for run_id, step, value, is_nan in points.filter(table.key == key, table.run_uuid.in_(some)):
                yield run_id, step, math.nan if is_nan else value


def _of_server(client: "MlflowClient", run_ids: Sequence[str], key: str) -> Iterator[tuple[str, int, float]]:
    # The road of MLflow's own page. It cuts off what is too much, and says nothing: then run by run.
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    credentials, road = client._tracking_client.store.get_host_creds(), "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    for first in range(0, len(run_ids), _RUNS_A_REQUEST):
        some = run_ids[first : first + _RUNS_A_REQUEST]
        asked: dict[str, Any] = {"run_id": some, "metric_key": key, "max_results": _POINTS_A_REQUEST}
        answer = verify_rest_response(http_request(credentials, road, "GET", params=asked), road)
        points = answer.json()["metrics"]
        if len(points) < _POINTS_A_REQUEST:
            yield from ((each["run_id"], int(each.get("step", 0)), float(each["value"])) for each in points)
            continue
        for run_id in some:
            for point in client.get_metric_history(run_id, key):
                yield run_id, point.step, point.value
