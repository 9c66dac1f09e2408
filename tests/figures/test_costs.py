"""Noise against cost: every estimator is numbered in order, and the figure names what cannot be drawn."""

import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from reparam_suite.figures import gradient_cost

POINTS = {
    "slow and exact": (50.0, 0.0, 0.0),
    "best": (1.0, 2.0, 0.1),
    "worst": (2.0, 900.0, 5.0),
    "middle": (4.0, 3.0, 0.2),
    "broken": (3.0, math.nan, math.nan),
}


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_estimators_are_listed_in_order_and_numbered_where_they_are_drawn():
    figure = gradient_cost(POINTS, biased=["middle"], group="decoder")
    ax, below = figure.axes
    assert ax.get_title(loc="left") == "Noise and cost of the gradient, decoder"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert texts(below)[1:] == [
        "1", "slow and exact (no noise)", "2", "best", "3", "middle", "4", "worst", "5", "broken (not drawn)",
    ]  # fmt: skip
    assert texts(ax) == ["2", "3", "4"]
    drawn = {(bar.lines[0].get_xdata()[0], bar.lines[0].get_ydata()[0]) for bar in ax.containers}
    assert drawn == {POINTS[name][:2] for name in ("best", "middle", "worst")}
    hollow = [bar.lines[0].get_markerfacecolor() == "white" for bar in ax.containers]
    assert hollow == [False, True, False]


def test_numbers_of_estimators_that_lie_together_do_not_cover_each_other():
    crowd = {f"estimator {i}": (1.0 + 0.01 * i, 2.0 + 0.03 * i, 0.1) for i in range(10)} | {"far": (90.0, 900.0, 1.0)}
    figure = gradient_cost(crowd)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in figure.axes[0].texts]
    for index, box in enumerate(boxes):
        assert not [other for other in boxes[index + 1 :] if box.overlaps(other)]


def test_a_single_run_has_no_bar_and_the_axis_says_of_what_the_cost_is():
    ax = gradient_cost({"once": (3.0, 2.0, math.nan), "thrice": (2.0, 4.0, 0.5)}, cost_of="step").axes[0]
    assert ax.get_xlabel() == "milliseconds per step"
    drawn = {bar.lines[0].get_xdata()[0]: bar.has_yerr for bar in ax.containers}
    assert drawn == {3.0: False, 2.0: True}


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="points: expected an estimator to draw, got none"):
        gradient_cost({})
