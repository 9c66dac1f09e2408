import shutil
from pathlib import Path

import pytest

from reparam_suite.tracking import Store, TrackingSettings

THIRD_PARTY_WARNINGS = [
    "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning",  # MLflow 3.17 on SQLAlchemy 2.1
]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for warning in THIRD_PARTY_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def database(tmp_path_factory) -> Path:
    """A database with a complete schema: making one takes two seconds."""
    root = tmp_path_factory.mktemp("template")
    Store.open(TrackingSettings(root=root, experiment="template"))
    return root / "mlflow.db"


@pytest.fixture
def settings(tmp_path, database) -> TrackingSettings:
    root = tmp_path / "mlruns"
    root.mkdir()
    shutil.copy(database, root / "mlflow.db")
    return TrackingSettings(root=root)


@pytest.fixture
def store(settings) -> Store:
    return Store.open(settings)


@pytest.fixture
def run(store):
    logger = store.start_run(name="run", parameters={}, tags={})
    yield logger
    logger.close("FINISHED")
