"""What a person reads while a sweep trains, where there is no terminal to draw on."""

import io
from types import SimpleNamespace

from rich.console import Console

from reparam_suite.sweeps.display import Display
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.plan import Plan
from reparam_suite.tracking import RecordedRun, TrackingSettings


def test_the_plan_comes_first_then_failures_at_once_and_progress_from_time_to_time():
    clock, out = [0.0], io.StringIO()
    cells = Grid({"a": [1, 2]}).with_seeds(range(4))
    done, stopped = (frozenset(cell.key for cell in part) for part in (cells[:2], cells[2:3]))
    with Display(Console(file=out, highlight=False), now=lambda: clock[0]) as display:
        assert display.counted() == "no run had begun"
        display.planned(
            Plan("s", TrackingSettings(), cells, {"a=3": "no"}, {"a=1": 10, "a=2": 30}, done, interrupted=stopped)
        )
        for number, error in enumerate([None, "NonFiniteLoss: inf", None, None, None]):
            clock[0] += 10.0
            display.ended(cells[2 + number], error)
        told = display.counted()
    lines = out.getvalue().splitlines()
    assert (
        lines[1]
        == "plan       8 runs of 2 combinations; 2 on record; 6 to train, 1 of them interrupted before, 140 steps"
    )
    assert lines[2:5] == [
        "           a=1; seeds 2, 3, 10 steps each",
        "           a=2; seeds 0, 1, 2, 3, 30 steps each",
        "left out   a=3: no",
    ]
    # After the first run: 10 s for 10 of 140 steps. Then every half minute.
    assert lines[5] == "progress   1 of 6 runs, about 2:10 left"
    assert lines[6] == "failed     a=1, seed 3: NonFiniteLoss: inf"
    assert lines[7] == "progress   4 of 6 runs, 1 failed, about 0:30 left"
    assert len(lines) == 8
    assert told == "6 of 8 runs are finished"


def test_a_metric_that_runs_do_not_record_is_reported_while_others_train():
    out = io.StringIO()
    store = SimpleNamespace(histories=lambda ids, metric: {"17": [(300, 0.0), (600, 1.0), (900, 2.0)]})
    run = RecordedRun("17", "", {}, {}, {"test/elbo": 1.0, "train/elbo": 2.0})
    with Display(Console(file=out, highlight=False)) as display:
        display.wanted = {
            "table.columns": ["test/elbo", "tset/elbo", "train/elbo@600", "train/elbo@700"],
            "results.metrics": ["pleasure@1", "pleasure@2", "train/elbo"],
        }
        display.recorded(store, run)
    assert out.getvalue().splitlines() == [
        "warning    table.columns: run 17 has not recorded tset/elbo, did you mean test/elbo?",
        "warning    table.columns: run 17 has not recorded train/elbo at step 700, the nearest is 600",
        "warning    results.metrics: run 17 has not recorded pleasure",
    ]
