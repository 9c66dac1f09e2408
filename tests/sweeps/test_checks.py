"""Refusals before anything is made; those of combinations are in test_sweep.py."""

import json
import signal
from types import SimpleNamespace

import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps import Sweep, checks
from reparam_suite.sweeps.checks import check_data, check_definition, check_finished, prospects_of, replaced
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.prospects import Prospect
from reparam_suite.sweeps.records import DEFINITION
from reparam_suite.sweeps.shard import Shard
from reparam_suite.tracking import RecordedRun
from reparam_suite.training import Stopped

BEFORE, NOW = {"base.model": "GaussianVAE", "budget.steps": 6}, {"base.model": "GaussianVAE", "budget.steps": 7}


def run(definition, status="FINISHED"):
    return RecordedRun("r", "", {DEFINITION: json.dumps(definition)}, {}, {}, status)


def test_another_sweep_of_the_name_is_refused_with_the_differences():
    with pytest.raises(UsageError) as error:
        check_definition("s", json.dumps(NOW), [run(NOW), run(BEFORE)])
    assert str(error.value) == (
        "name: sweep s is on record already and differs: budget.steps was 6, is 7. "
        "Give this one another name, for example s-2"
    )


def test_what_failed_or_says_nothing_is_not_compared():
    check_definition("s", json.dumps(NOW), [run(BEFORE, "FAILED"), RecordedRun("r", "", {}, {}, {})])
    check_definition("s", None, [run(BEFORE)])


def test_data_that_were_replaced_while_a_sweep_trained_are_told():
    cells = Grid({"a": [1, 2]}).with_seeds([0])
    finished = {
        cell.key: RecordedRun(f"r{number}", "", {"sweep.data": digest}, {"data.init_args.path": "x.npz"}, {})
        for number, (cell, digest) in enumerate(zip(cells, ("d1", "d2"), strict=True))
    }
    with pytest.raises(UsageError, match="run r0 was trained on data of digest d1, run r1 on d2"):
        check_data("s", cells, finished)
    check_data("s", cells[:1], finished)


def recorded(run_id: str, digest: str, value: str, **data: str) -> RecordedRun:
    tags = {"sweep.data": digest, "sweep.value.estimator": value, "sweep.cell": run_id}
    options = {f"data.{name}": text for name, text in data.items()}
    return RecordedRun(run_id, run_id, tags, {"seed": run_id, **options}, {})


def test_a_sweep_averages_and_compares_runs_on_the_same_data_alone():
    by_path = [recorded("1", "aa", "A", path="x"), recorded("2", "aa", "B", path="x"), recorded("3", "bb", "B")]
    assert replaced([*by_path, recorded("4", "cc", "A", path="y")]) is None
    told = "run 1 was trained on data of digest aa, run 4 on bb"
    assert replaced([*by_path, recorded("4", "bb", "A", path="x")]) == told
    # Arrays in memory have no description: they are told apart by the values of the sweep.
    in_memory = [recorded("1", "aa", "A", opaque="rows"), recorded("2", "bb", "B", opaque="rows")]
    assert replaced(in_memory) is None
    assert replaced([*in_memory, recorded("4", "bb", "A", opaque="rows")]) == told


def test_a_sweep_on_data_that_were_replaced_says_so(monkeypatch):
    sweep = Sweep(lambda estimator, seed: None, grid={"estimator": ["A"]}, seeds=[1, 2], name="s")
    keys = [cell.key for cell in sweep._cells]
    runs = {key: recorded(key[:4], digest, "A", path="x") for key, digest in zip(keys, ("aa", "bb"), strict=True)}
    with pytest.raises(
        ValueError, match=r"^data: expected the same for all runs of sweep s, got others .* aa, run .* bb"
    ):
        check_data("s", sweep._cells, runs)
    check_data("s", sweep._cells, {keys[0]: runs[keys[0]], "of another cell": runs[keys[1]]})


@pytest.fixture
def prospects(monkeypatch):
    """Checks the combinations of a grid, or of a shard of it; `a` must not be "bad", nor `b` more than 1."""
    monkeypatch.setattr(checks.Prospect, "of", lambda run: Prospect({}, run.steps))
    monkeypatch.setattr(checks, "made_run", lambda make_run, values, seed: make_run(**values, seed=seed))

    def made(*, seed, a="good", b=0):
        if a == "stop":
            raise Stopped(signal.SIGTERM)
        if a == "bad" or b > 1:
            raise UsageError("a: expected good, got bad")
        return SimpleNamespace(tracking="here", steps=3)

    def check(grid, *, shard=None, skip_misfits=False):
        cells = grid.with_seeds([0])
        own = cells if shard is None else shard.share(cells)
        return prospects_of(made, own, cells, skip_misfits=skip_misfits)

    return check


def test_a_signal_while_combinations_are_checked_ends_the_sweep(prospects):
    with pytest.raises(Stopped):
        prospects(Grid({"a": ["good", "stop", "good too"]}), skip_misfits=True)


def test_a_part_without_runs_trains_nothing(prospects):
    found = prospects(Grid({"a": ["good", "good too"]}), shard=Shard(3, 3))
    assert (found.misfits, found.tracking) == ({}, "here")


def test_a_part_whose_combinations_all_misfit_is_left_out_where_the_whole_fits(prospects):
    grid = Grid({"a": ["good", "bad"]})
    found = prospects(grid, shard=Shard(2, 2), skip_misfits=True)
    assert found.misfits == {"a='bad'": "a: expected good, got bad"}
    with pytest.raises(
        UsageError, match=r"1 of 2 combinations that make no run: a='bad'.* skip_misfits leaves them out"
    ):
        prospects(grid, shard=Shard(2, 2))
    assert not prospects(grid, shard=Shard(1, 2), skip_misfits=True).misfits


def test_a_sweep_of_misfits_alone_is_refused(prospects):
    with pytest.raises(UsageError, match="grid: no run can be made with a: a: expected good, got bad"):
        prospects(Grid({"a": ["bad"]}), skip_misfits=True)


def test_finished_runs_of_other_seeds_have_the_same_model(prospects):
    cells = Grid({"a": ["A"]}).with_seeds([5])
    before = RecordedRun("r", "", {"sweep.value.a": "'A'", "sweep.cell": "of seed 0"}, {"trainer.max_steps": "5"}, {})
    now = {cells[0].combination: Prospect({"trainer.max_steps": "6"}, 6)}
    with pytest.raises(UsageError, match=r"finished runs of a='A' .*: trainer.max_steps was 5, is 6"):
        check_finished("s", cells, now, [before])
