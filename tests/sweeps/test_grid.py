import pytest

from reparam_suite.estimators import DisARM, LeaveOneOut, ScoreFunction
from reparam_suite.sweeps.grid import cells_of, combinations_of

GRID = {"estimator": [DisARM(num_samples=2), ScoreFunction(num_samples=4, baseline=LeaveOneOut())], "rate": [0.1, 0.2]}


def test_every_combination_has_every_seed():
    cells = cells_of(GRID, range(3))
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
    keys = {cell.key for cell in cells_of(GRID, [5])}
    again = {
        "rate": [0.2, 0.1],
        "estimator": [ScoreFunction(baseline=LeaveOneOut(), num_samples=4), DisARM(num_samples=2)],
    }
    assert keys == {cell.key for cell in cells_of(again, [5])}
    assert keys.isdisjoint(cell.key for cell in cells_of(GRID, [6]))


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
        cells_of(grid, seeds)
    assert told in str(raised.value)
