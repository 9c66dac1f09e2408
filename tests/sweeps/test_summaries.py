"""Summaries in a real store; their runs are made up."""

import pandas as pd

from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.summaries import summarise
from reparam_suite.tracking import Store, TrackingSettings


def frame(cells, values):
    rows = [
        {**cell.row, "run_id": "r", "status": status, "test/elbo": value, "seed": cell.seed}
        for cell, (status, value) in zip(cells, values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_means_and_deviations_are_metrics_of_a_run_that_is_no_training(tmp_path):
    store = Store.open(TrackingSettings(root=tmp_path))
    cells = Grid({"a": [1, 2]}).with_seeds([0, 1, 2])
    first = [("FINISHED", -1.0), ("FINISHED", -3.0), ("FAILED", None), *[("MISSING", None)] * 3]
    assert summarise(store, "s", cells, frame(cells, first)) == 1
    assert summarise(store, "s", cells, frame(cells, first)) == 0, "nothing new"
    (summary,) = store.runs("tags.summary = 'sweep'")
    assert summary.metrics == {"test/elbo": -2.0, "test/elbo_std": 2.0**0.5, "n": 2.0}
    assert summary.tags["sweep.summary"] == "s"
    assert summary.tags["sweep.value.a"] == "1"
    assert summary.parameters["a"] == "1"
    assert "estimator" not in summary.tags
    third = [("FINISHED", -1.0), ("FINISHED", -3.0), ("FINISHED", -2.0), *first[3:]]
    assert summarise(store, "s", cells, frame(cells, third)) == 1
    (summary,) = store.runs("tags.summary = 'sweep'")
    assert summary.metrics == {"test/elbo": -2.0, "test/elbo_std": 1.0, "n": 3.0}
