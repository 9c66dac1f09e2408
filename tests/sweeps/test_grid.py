import pytest

from reparam_suite.estimators import DisARM, LeaveOneOut, ScoreFunction
from reparam_suite.sweeps.grid import Grid, combinations_of

GRID = {"estimator": [DisARM(num_samples=2), ScoreFunction(num_samples=4, baseline=LeaveOneOut())], "rate": [0.1, 0.2]}


def test_every_combination_has_every_seed():
    cells = Grid(GRID).with_seeds(range(3))
    assert len(cells) == 12
    assert len({cell.key for cell in cells}) == 12
    assert [cell.seed for cell in cells[:4]] == [0, 1, 2, 0]
    assert list(combinations_of(cells)) == [
        "estimator=DisARM(), rate=0.1",
        "estimator=DisARM(), rate=0.2",
        "estimator=ScoreFunction(num_samples=4, baseline=LeaveOneOut()), rate=0.1",
        "estimator=ScoreFunction(num_samples=4, baseline=LeaveOneOut()), rate=0.2",
    ]
    assert cells[0].row == {"estimator": "DisARM()", "rate": 0.1, "seed": 0}


def test_a_cell_is_its_values_expressions_and_seed_whatever_the_order_of_the_arguments():
    keys = {cell.key for cell in Grid(GRID).with_seeds([5])}
    again = {
        "rate": [0.2, 0.1],
        "estimator": [ScoreFunction(baseline=LeaveOneOut(), num_samples=4), DisARM(num_samples=2)],
    }
    assert keys == {cell.key for cell in Grid(again).with_seeds([5])}
    assert keys.isdisjoint(cell.key for cell in Grid(GRID).with_seeds([6]))


@pytest.mark.parametrize(
    ("grid", "seeds", "error", "told"),
    [
        ({}, [0], ValueError, "grid: expected at least one argument"),
        ({"a": []}, [0], ValueError, "grid: a: expected at least one value, got none"),
        ({"a": "text"}, [0], TypeError, "grid: a: expected a list of values, got 'text'"),
        ({"a": 3}, [0], TypeError, "grid: a: expected a list of values, got 3"),
        ({"a": [1, 1]}, [0], ValueError, "grid: a: expected different values, got 1 twice"),
        ({"a": [DisARM(), DisARM(num_samples=2)]}, [0], ValueError, "got DisARM() twice"),
        ({"seed": [1]}, [0], ValueError, "grid: expected arguments beside the seed"),
        ({"a": [1]}, [], ValueError, "seeds: expected at least one, got none"),
        ({"a": [1]}, [0, 0], ValueError, "seeds: expected each once"),
    ],
)
def test_what_makes_no_grid_is_refused(grid, seeds, error, told):
    with pytest.raises(error) as raised:
        Grid(grid).with_seeds(seeds)
    assert told in str(raised.value)


def values(grid):
    return [cell.values for cell in grid.with_seeds([0])]


def test_zipped_lists_go_together_and_cells_are_given_one_by_one():
    grid = Grid({"a": [1, 2]}, zipped={"b": [3, 4], "c": [5, 6]}, cells=[{"d": 7}, {"d": 8, "e": 9}])
    assert grid.arguments == ("a", "b", "c", "d", "e")
    assert values(grid) == [
        {"a": a, "b": b, "c": c, **cell}
        for a in (1, 2)
        for b, c in ((3, 5), (4, 6))
        for cell in ({"d": 7}, {"d": 8, "e": 9})
    ]
    assert values(Grid(zipped={"b": [3, 4], "c": [5, 6]})) == [{"b": 3, "c": 5}, {"b": 4, "c": 6}]


def test_a_cell_is_the_same_one_however_its_values_are_given():
    one, other = Grid({"a": [1], "b": [2]}), Grid(cells=[{"b": 2, "a": 1}])
    assert [cell.key for cell in one.with_seeds([0])] == [cell.key for cell in other.with_seeds([0])]


def test_a_part_of_a_grid_has_the_values_that_are_asked_for():
    grid = Grid({"a": [1, 2], "b": ["x", "y"]})
    assert values(grid.where({"b": "y"})) == [{"a": 1, "b": "y"}, {"a": 2, "b": "y"}]
    with pytest.raises(ValueError, match="where: expected values of the grid, got a=3"):
        grid.where({"a": 3})


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"zipped": {"a": [1, 2], "b": [1]}}, ValueError, "zipped: expected lists of one length, got 2 of a, 1 of b"),
        (
            {"product": {"a": [1]}, "zipped": {"a": [1]}},
            ValueError,
            "zipped: expected arguments that are not in grid, got a",
        ),
        (
            {"zipped": {"a": [1]}, "cells": [{"a": 1}]},
            ValueError,
            "cells: expected arguments that are not in zipped, got a",
        ),
        ({"cells": [{"a": 1}, {"a": 1}]}, ValueError, "grid: expected different combinations, got a=1 twice"),
        ({"zipped": {"a": [1, 1]}}, ValueError, "grid: expected different combinations, got a=1 twice"),
        ({"cells": [3]}, TypeError, "cells: expected values by argument, got 3"),
        ({"cells": [{}]}, ValueError, "cells: expected at least one argument in each, got none"),
        ({"zipped": {"a": "text"}}, TypeError, "zipped: a: expected a list of values, got 'text'"),
    ],
)
def test_what_is_no_grid_is_refused(given, error, told):
    with pytest.raises(error) as raised:
        Grid(**given)
    assert told in str(raised.value)
