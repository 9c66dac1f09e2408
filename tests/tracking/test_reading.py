"""Many runs at once, as one would read them one by one: from a database and from a server."""

import math
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from reparam_suite.tracking import Store, TrackingError, TrackingSettings, reading

MLFLOW = Path(sys.executable).with_name("mlflow")


def fill(store, client):
    """Two runs with the metric, one of them with a value that is none, and one without."""
    ids = []
    for values in ([3.0, 1.0, 2.0], [math.nan, 5.0], []):
        run_id = client.create_run(store.experiment_id, tags={"kind": str(len(values))}).info.run_id
        client.log_batch(run_id, metrics=[Metric("m", value, step, step) for step, value in enumerate(values)])
        client.set_terminated(run_id)
        ids.append(run_id)
    client.create_run(store.experiment_id)  # is running
    return ids


def assert_read(store, ids):
    runs = store.runs(finished=True)
    assert sorted(run.run_id for run in runs) == sorted(ids)
    assert [run.run_id for run in store.runs("tags.kind = '2'", finished=True)] == [ids[1]]
    assert_every_run_is_read(store, ids)
    assert_tagged_runs_are_those_of_a_search(store, ids)
    found = store.histories(ids, "m")
    assert found[ids[0]] == [(0, 3.0), (1, 1.0), (2, 2.0)]
    assert math.isnan(found[ids[1]][0][1])
    assert found[ids[1]][1] == (1, 5.0)
    assert ids[2] not in found


def assert_every_run_is_read(store, ids):
    every = {run.run_id: run for run in store.runs()}
    (running,) = every.keys() - set(ids)
    assert every[running].status == "RUNNING"
    assert every[running].estimator == ""
    assert every[running].seed is None
    assert {every[run_id].status for run_id in ids} == {"FINISHED"}
    assert every[ids[0]].metrics == {"m": 2.0}
    assert [run.run_id for run in store.runs("attributes.status = 'RUNNING'")] == [running]


def assert_tagged_runs_are_those_of_a_search(store, ids):
    for number, run_id in (("3", ids[0]), ("2", ids[1])):
        (tagged,) = store.tagged_runs("kind", number)
        (searched,) = store.runs(f"tags.kind = '{number}'")
        assert tagged.run_id == run_id
        for name in ("run_id", "name", "tags", "parameters", "metrics", "status", "digest"):
            assert getattr(tagged, name) == getattr(searched, name), name
    assert store.tagged_runs("kind", "4") == []


def test_what_a_run_of_the_suite_records_is_read_by_name(store):
    logger = store.start_run(name="mine", parameters={"estimator": "Pathwise"}, tags={"seed": "3"})
    logger.log_metrics({"test/elbo": -math.inf, "test/kl": 2.0}, step=5)
    logger.close("KILLED")
    (run,) = store.runs("tags.seed = '3'")
    assert (run.run_id, run.name, run.estimator, run.seed, run.status) == (
        logger.run_id,
        "mine",
        "Pathwise",
        3,
        "KILLED",
    )
    assert run.metrics == {"test/elbo": -math.inf, "test/kl": 2.0}
    assert store.histories([run.run_id], "test/elbo") == {run.run_id: [(5, -math.inf)]}
    with pytest.raises(TrackingError):
        store.runs("no condition at all")


def test_from_a_database(store, settings):
    assert_read(store, fill(store, MlflowClient(settings.resolved_uri())))


def test_pages_are_all_read(store, settings, monkeypatch):
    monkeypatch.setattr(reading, "_RUNS_A_PAGE", 2)
    assert_read(store, fill(store, MlflowClient(settings.resolved_uri())))


@pytest.mark.slow
def test_from_a_server(tmp_path, serve, monkeypatch):
    database = f"sqlite:///{tmp_path}/mlflow.db"
    arguments = f"--backend-store-uri {database} --artifacts-destination {tmp_path}/artifacts --workers 1"
    server = serve(f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {MLFLOW} server {arguments}")
    store = Store.open(TrackingSettings(uri=server.uri, root=tmp_path / "mlruns"))
    ids = fill(store, MlflowClient(server.uri))
    assert_read(store, ids)
    monkeypatch.setattr(reading, "_POINTS_A_REQUEST", 3)  # what the server cuts off is asked for again
    assert_read(store, ids)
    monkeypatch.setattr(reading, "_RUNS_A_REQUEST", 1)
    assert_read(store, ids)
    assert Store.experiments(TrackingSettings(uri=server.uri)) == ["Default", "reparam_suite"]
