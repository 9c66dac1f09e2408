"""Views are stored with the experiment, for every metric of its runs."""

from mlflow import MlflowClient

from reparam_suite.tracking.prepared_views import prepared_views


def test_views_are_stored_with_the_experiment(store, settings):
    run = store.start_run(name="run", parameters={}, tags={})
    run.log_metrics({"val/elbo": -1.0, "my/own": 2.0}, step=1)
    run.close("FINISHED")
    addresses = prepared_views(settings)
    assert list(addresses) == ["curves", "table", "options", "others"]
    assert addresses["table"].startswith(f"#/experiments/{store.experiment_id}/runs?")
    tags = MlflowClient(f"sqlite:///{store.root}/mlflow.db").get_experiment(store.experiment_id).tags
    assert {f"mlflow.sharedViewState.{key}" for key in addresses} <= set(tags)
