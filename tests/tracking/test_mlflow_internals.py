"""Private names of MLflow: each does what `mlflow_internals` takes it to do."""

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils import requirements_utils

from reparam_suite.tracking.mlflow_internals import backend, last_metric_time, unlisted_packages


def test_a_client_has_a_session_and_a_run_the_times_of_its_metrics(store, settings):
    client = MlflowClient(settings.resolved_uri())
    run_id = client.create_run(store.experiment_id).info.run_id
    assert last_metric_time(client.get_run(run_id)) is None
    client.log_batch(run_id, metrics=[Metric("a", 1.0, 70, 0), Metric("b", 1.0, 50, 0)])
    assert last_metric_time(client.get_run(run_id)) == 70
    with backend(client).ManagedSessionMaker(read_only=True) as session:
        assert session is not None


def test_packages_are_listed_again_afterwards():
    before = requirements_utils._MODULES_TO_PACKAGES
    with unlisted_packages():
        assert requirements_utils._MODULES_TO_PACKAGES == {}
    assert requirements_utils._MODULES_TO_PACKAGES is before
