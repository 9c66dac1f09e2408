"""Private names of MLflow: each does what `mlflow_internals` takes it to do."""

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.store.db import utils
from mlflow.store.db.utils import create_sqlalchemy_engine
from mlflow.utils import requirements_utils

from reparam_suite.tracking import Store
from reparam_suite.tracking.mlflow_internals import (
    backend,
    initialize_tables,
    last_metric_time,
    latest_revision_known,
    schema_revisions,
    unlisted_packages,
    upgrade_tables,
)


def test_a_client_has_a_session_and_a_run_the_times_of_its_metrics(store, settings):
    client = MlflowClient(settings.resolved_uri())
    run_id = client.create_run(store.experiment_id).info.run_id
    assert last_metric_time(client.get_run(run_id)) is None
    client.log_batch(run_id, metrics=[Metric("a", 1.0, 70, 0), Metric("b", 1.0, 50, 0)])
    assert last_metric_time(client.get_run(run_id)) == 70
    with backend(client).ManagedSessionMaker(read_only=True) as session:
        assert session is not None


def test_tables_are_made_of_the_latest_revision(tmp_path):
    engine = create_sqlalchemy_engine(f"sqlite:///{tmp_path}/new.db")
    try:
        assert schema_revisions(engine)[0] is None
        initialize_tables(engine)
        version, latest = schema_revisions(engine)
        assert version == latest
        upgrade_tables(engine)
        assert schema_revisions(engine) == (version, latest)
    finally:
        engine.dispose()


def test_a_store_is_opened_without_a_look_at_all_revisions(settings, monkeypatch):
    Store.open(settings)
    looked = utils._get_latest_schema_revision()
    monkeypatch.setattr(utils.ScriptDirectory, "from_config", None)
    with latest_revision_known():
        assert utils._get_latest_schema_revision() == looked
    Store.open(settings)
    with pytest.raises(TypeError):
        utils._get_latest_schema_revision()


def test_packages_are_listed_again_afterwards():
    before = requirements_utils._MODULES_TO_PACKAGES
    with unlisted_packages():
        assert requirements_utils._MODULES_TO_PACKAGES == {}
    assert requirements_utils._MODULES_TO_PACKAGES is before
