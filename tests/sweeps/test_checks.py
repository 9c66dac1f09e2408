"""Refusals before anything is made; those of combinations are in test_sweep.py."""

import json

import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps import Sweep
from reparam_suite.sweeps.checks import check_data, check_definition, replaced
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.records import DEFINITION
from reparam_suite.tracking import RecordedRun

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
