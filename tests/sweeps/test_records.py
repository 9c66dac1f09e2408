"""The runs of a sweep: how they are tagged, found again and told apart."""

import signal

import pytest

from reparam_suite.estimators import DisARM
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.records import CellObserver, expressions_of, newest, opened, runs_of, tags_of
from reparam_suite.tracking import RecordedRun, Store, TrackingSettings
from reparam_suite.training import Stopped


def run(run_id: str, status: str = "FINISHED", **tags: str) -> RecordedRun:
    return RecordedRun(run_id, "", tags, {}, {}, status)


def test_the_tags_of_a_cell_say_of_which_sweep_it_is_and_with_which_values():
    one, other = Grid({"estimator": [DisARM(num_samples=4)], "rate": [0.1, 0.2]}).with_seeds([3])
    tags = tags_of("s", one, "what it is made of")
    assert tags == {
        "sweep": "s",
        "sweep.cell": one.key,
        "sweep.value.estimator": "DisARM(num_samples=4)",
        "sweep.value.rate": "0.1",
        "sweep.definition": "what it is made of",
    }
    assert expressions_of(run("a", **tags)) == {"estimator": "DisARM(num_samples=4)", "rate": "0.1"}
    assert "sweep.definition" not in tags_of("s", other)
    assert one.key != other.key


def test_of_the_runs_of_a_cell_the_newest_counts():
    runs = [  # the newest first
        run("4", "KILLED", **{"sweep.cell": "a"}),
        run("3", **{"sweep.cell": "a"}),
        run("2", **{"sweep.cell": "b"}),
        run("1", **{"sweep.cell": "a"}),
        run("0"),
    ]
    assert {cell: found.run_id for cell, found in newest(runs, "FINISHED").items()} == {"a": "3", "b": "2"}
    assert {cell: found.run_id for cell, found in newest(runs, "KILLED").items()} == {"a": "4"}


def test_a_store_is_looked_at_where_there_is_one_and_none_is_made(tmp_path):
    settings = TrackingSettings(root=tmp_path / "mlruns")
    assert opened(settings) is None
    assert list(tmp_path.iterdir()) == []
    store = Store.open(settings)
    assert opened(settings) is None, "there is no experiment before its first run"
    for sweep, name in (("s", "first"), ("t", "of another sweep"), ("s", "second")):
        store.start_run(name=name, parameters={}, tags={"sweep": sweep}).close("FINISHED")
    assert [found.name for found in runs_of(opened(settings), "s")] == ["second", "first"]


class Logger:
    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def set_tags(self, tags):
        self.tags |= tags


@pytest.mark.parametrize(
    ("error", "status", "tags"),
    [
        (Stopped(signal.SIGTERM), "KILLED", {}),
        (KeyboardInterrupt(), "KILLED", {}),
        (ValueError("too\nfast"), "FAILED", {"sweep.error": "ValueError: too"}),
    ],
)
def test_a_failure_is_recorded_with_its_reason_and_a_stop_is_none(error, status, tags):
    logger = Logger()
    assert CellObserver().failed(logger, error) == status
    assert logger.tags == tags
