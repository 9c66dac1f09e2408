from pathlib import Path

import pytest
from tests.launching import undrawn
from tests.running.models import Regression, gaussian, rows, short
from tests.running.resuming import SHORT, Stopped

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.estimators import Pathwise
from reparam_suite.running import Result
from reparam_suite.tracking import TrackingSettings


@pytest.fixture(scope="session")
def tracking(tmp_path_factory) -> TrackingSettings:
    """One store for runs that disturb each other in nothing."""
    root: Path = tmp_path_factory.mktemp("runs")
    return TrackingSettings(root=root / "mlruns")


@pytest.fixture(scope="session")
def result(tracking) -> Result:
    """Of a Gaussian VAE on the digits, eight steps."""
    with undrawn():
        return Run(gaussian, Digits(), seed=3, tags={"lesson": "1"}, **short(tracking)).fit()


@pytest.fixture(scope="session")
def regression(tracking) -> Result:
    """Of a model that is no VAE, on data without a test split, with a monitor of its own."""
    with undrawn():
        return Run(lambda: Regression(Pathwise()), rows(), monitor="-val/loss", **short(tracking)).fit()


@pytest.fixture(scope="session")
def stopped(tmp_path_factory) -> Stopped:
    """A run of six steps."""
    return Stopped.after(Run(gaussian, Digits(), **SHORT), tmp_path_factory.mktemp("stopped"))


@pytest.fixture
def run(stopped, tmp_path) -> Stopped:
    """A copy of it for a test's own use."""
    return stopped.copy(tmp_path)
