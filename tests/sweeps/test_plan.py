from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.plan import Plan
from reparam_suite.tracking import TrackingSettings


def test_what_is_missing_is_neither_done_nor_trained_elsewhere_nor_a_misfit():
    cells = Grid({"a": [1, 2, 3]}).with_seeds([0, 1])
    plan = Plan(
        name="s",
        tracking=TrackingSettings(),
        cells=cells,
        misfits={"a=3": "no"},
        steps={"a=1": 10, "a=2": 20},
        done=frozenset([cells[0].key]),
        elsewhere=frozenset([cells[2].key]),
    )
    assert plan.missing == [cells[1], cells[3]]
    assert plan.num_steps(plan.missing) == 30
    assert Plan("s", TrackingSettings(), cells, {}, {"a=1": 10, "a=2": None, "a=3": 5}).num_steps(cells) is None
