"""The result of a sweep that is on record: runs that were never trained, in a real store."""

import pytest

from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.records import tags_of
from reparam_suite.sweeps.result import SweepResult
from reparam_suite.tracking import Store, TrackingSettings


@pytest.fixture(scope="module")
def tracking(tmp_path_factory) -> TrackingSettings:
    """A sweep over two values, each with two seeds; one run has failed."""
    settings = TrackingSettings(root=tmp_path_factory.mktemp("sweep") / "mlruns")
    store = Store.open(settings)
    for cell in Grid({"a": [1, 2]}).with_seeds([0, 1]):
        run = store.start_run(name="run", parameters={}, tags={**tags_of("s", cell), "seed": str(cell.seed)})
        level = -10.0 * cell.values["a"] - cell.seed
        run.log_metrics({"train/elbo": level - 5.0}, step=3)
        run.log_metrics({"train/elbo": level}, step=6)
        run.close("FAILED" if (cell.values["a"], cell.seed) == (2, 1) else "FINISHED")
    return settings


def test_its_runs_are_read_from_the_record(tracking):
    result = SweepResult.load("s", tracking=tracking)
    frame = result.frame
    assert [*zip(frame["a"], frame["seed"], frame["status"], strict=True)] == [
        (1, 0, "FINISHED"),
        (1, 1, "FINISHED"),
        (2, 0, "FINISHED"),
        (2, 1, "FAILED"),
    ]
    assert list(frame["train/elbo"])[:3] == [-10.0, -11.0, -20.0]
    assert result.trained == 0
    assert result.ui_command == f"python -m reparam_suite.ui --tracking.root {tracking.root}"


def test_a_column_may_be_a_metric_at_a_step_and_one_name_is_as_good_as_a_list(tracking):
    table = SweepResult.load("s", tracking=tracking).table(rows="a", columns=["train/elbo@3", "train/elbo"]).frame
    assert list(table["train/elbo@3"]) == [-15.5, -25.0]
    assert list(table["train/elbo"]) == [-10.5, -20.0]
    assert list(table["n"]) == [2, 1]
    one = SweepResult.load("s", tracking=tracking).table(rows=["a"], columns="train/elbo@3").frame
    assert list(one["train/elbo@3"]) == [-15.5, -25.0]


def test_a_step_that_no_run_has_is_an_unknown_metric(tracking):
    with pytest.raises(ValueError, match=r"columns: .*, the nearest train/elbo, got train/elbo@4"):
        SweepResult.load("s", tracking=tracking).table(rows="a", columns="train/elbo@4")


def test_an_unknown_sweep_is_refused_with_the_place_that_was_looked_at(tracking, tmp_path):
    with pytest.raises(ValueError, match=r"name: expected a sweep on record in experiment reparam_suite of .*, got t$"):
        SweepResult.load("t", tracking=tracking)
    with pytest.raises(ValueError, match="name: expected a sweep on record"):
        SweepResult.load("s", tracking=TrackingSettings(root=tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
