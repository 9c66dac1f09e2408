from reparam_suite.sweeps.frames import frame_of, recorded_cells
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.records import ERROR, tags_of
from reparam_suite.tracking import RecordedRun


def run(cell, run_id, status, metrics=None, **tags):
    return RecordedRun(run_id, "", {**tags_of("s", cell), "seed": str(cell.seed), **tags}, {}, metrics or {}, status)


def test_every_cell_has_its_state_and_the_newest_finished_run_counts():
    cells = Grid({"a": range(7)}).with_seeds([3])
    finished, kept, failed, here, killed, skipped, _ = cells
    runs = [  # the newest first
        run(finished, "late", "KILLED"),
        run(finished, "good", "FINISHED", {"test/elbo": -1.0}),
        run(finished, "old", "FINISHED", {"test/elbo": -9.0}),
        run(failed, "bad", "FAILED", **{ERROR: "NonFiniteLoss: inf"}),
        run(killed, "stopped", "KILLED"),
    ]
    frame = frame_of(
        cells,
        ("a",),
        runs,
        kept={kept.key: {"test/elbo": -2.0}},
        reasons={here.key: "it died"},
        misfits={skipped.key: "no"},
    )
    assert list(frame["status"]) == ["FINISHED", "FINISHED", "FAILED", "FAILED", "KILLED", "SKIPPED", "MISSING"]
    assert list(frame["run_id"].fillna("-"))[:5] == ["good", "-", "bad", "-", "stopped"]
    assert list(frame["reason"].fillna("-")) == ["-", "-", "NonFiniteLoss: inf", "it died", "-", "no", "-"]
    assert list(frame["test/elbo"])[:2] == [-1.0, -2.0]
    assert list(frame.columns) == ["a", "seed", "run_id", "status", "reason", "test/elbo"]


def test_cells_are_read_from_their_runs():
    cells = Grid(cells=[{"a": 0.1, "b": "DisARM"}, {"a": [1, 2]}]).with_seeds([0, 1])
    found = recorded_cells([run(cell, "r", "FINISHED") for cell in reversed(cells)])
    assert [cell.values for cell in found] == [cell.values for cell in cells]
    assert [cell.key for cell in found] == [cell.key for cell in cells]
