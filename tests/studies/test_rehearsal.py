"""The metrics that runs will have, found out before the first trial."""

import pytest
from tests.running.models import gaussian
from tests.studies.searches import search

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies import rehearsal
from reparam_suite.studies.rehearsal import check_metrics, rehearsed_metrics
from reparam_suite.tracking import TrackingSettings


def test_a_step_that_is_recorded_nowhere_tells_the_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run(gaussian, Digits, max_steps=10**9, tracking=TrackingSettings(root=tmp_path / "mlruns"))
    metrics = rehearsed_metrics(run)
    assert {"train/elbo", "val/elbo", "val/elbo_best", "test/elbo", "grad/encoder/variance"} <= metrics
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def rehearsed(monkeypatch):
    """Of each rate the metrics of its run; a run at a rate that is not there raises."""
    metrics = {}
    monkeypatch.setattr(rehearsal, "rehearsed_metrics", lambda run: metrics[run.tags["rate"]])
    return metrics


def test_objectives_and_constraints_have_to_be_metrics_of_the_runs(rehearsed):
    rehearsed["0.1"] = {"val/elbo_best", "val/elbo", "train/kl"}
    check_metrics(search(constraints={"train/kl": None}))
    with pytest.raises(
        UsageError,
        match=r"^objectives: expected a metric of the runs \(train/kl, val/elbo, val/elbo_best\), got val/elbow, "
        r"did you mean val/elbo\?$",
    ):
        check_metrics(search(objectives={"val/elbow": "maximize"}), objective="objectives")
    with pytest.raises(UsageError, match=r"^constraints: expected .*, got seconds$"):
        check_metrics(search(constraints={"seconds": None}))


def test_values_that_fit_no_run_are_passed_over(rehearsed):
    rehearsed["0.5"] = {"val/elbo"}
    with pytest.raises(UsageError, match="got val/elbo_best"):
        check_metrics(search())
    rehearsed.clear()
    check_metrics(search())  # no run tells anything: trials will
