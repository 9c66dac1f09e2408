"""The runs on record, as a table."""

import pytest

from reparam_suite import runs
from reparam_suite.tracking import TrackingSettings


def test_runs_is_a_table_of_them(result, regression, tracking):
    table = runs("tags.lesson = '1'", tracking=tracking)
    assert list(table["run_id"]) == [result.run_id]
    row = table.iloc[0]
    assert (row["estimator"], row["seed"], row["status"]) == ("Pathwise()", 3, "FINISHED")
    assert row["test/elbo"] == pytest.approx(result.metrics["test/elbo"])
    assert {result.run_id, regression.run_id} <= set(runs(tracking=tracking)["run_id"])
    assert len(runs(tracking=TrackingSettings(root=tracking.root / "nowhere"))) == 0
