"""The prepared views of an experiment, stored in it with every metric that its runs have."""

from reparam_suite.tracking import views
from reparam_suite.tracking.reasons import as_tracking_error
from reparam_suite.tracking.settings import TrackingSettings
from reparam_suite.tracking.store import Store


def prepared_views(settings: TrackingSettings) -> dict[str, str]:
    """Stores the views of an experiment anew; the rest of the address of each, by its key.

    Raises:
        TrackingError: if the store cannot be opened, or does not take them.
    """
    store = Store.open(settings)
    metrics = {name for run in store.runs() for name in run.metrics}
    from mlflow import MlflowClient

    with as_tracking_error(f"the views of {settings.experiment} could not be stored in {store.uri}"):
        client = MlflowClient(settings.resolved_uri())
        for name, value in views.tags(metrics).items():
            client.set_experiment_tag(store.experiment_id, name, value)
    return {view.key: view.address(store.experiment_id) for view in views.views(metrics)}
