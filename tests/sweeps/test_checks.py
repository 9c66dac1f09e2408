"""Refusals before anything is made; those of combinations are in test_sweep.py."""

import json

import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps.checks import check_data, check_definition
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
