import numpy as np
import pytest

from reparam_suite.figures import curves, gradient_variance, training_curves


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def history(value, steps=range(0, 100, 10)):
    return [(step, value(step)) for step in steps]


def test_training_curves_show_the_whole_run_and_its_second_half():
    train, val = history(lambda step: -500.0 + step), history(lambda step: -510.0 + step, [49, 99])
    whole, late = training_curves({"train": train, "val": val}).axes
    np.testing.assert_array_equal(whole.lines[0].get_xydata(), train)
    np.testing.assert_array_equal(whole.lines[1].get_xydata(), val)
    np.testing.assert_array_equal(late.lines[0].get_xydata(), train[5:])
    np.testing.assert_array_equal(late.lines[1].get_xydata(), val[1:])
    assert legend(whole) == ["train", "val"]
    assert whole.get_ylabel() == "ELBO (nats)"
    assert whole.get_xlabel() == late.get_xlabel() == "step"


def test_a_run_of_one_step_has_one_panel_and_a_visible_point():
    (ax,) = training_curves({"train": [(0, -543.0)]}, quantity="bound of 100 samples").axes
    assert ax.lines[0].get_marker() == "o"
    assert ax.get_ylabel() == "bound of 100 samples (nats)"


def test_many_points_are_drawn_pale_under_their_running_mean():
    line = history(lambda step: 2.0 * step, range(1000))
    ax = training_curves({"train": line}).axes[0]
    raw, mean = ax.lines
    np.testing.assert_array_equal(raw.get_xydata(), line)
    assert raw.get_alpha() < 1
    np.testing.assert_allclose(mean.get_ydata(), 2 * np.asarray(mean.get_xdata()))  # a mean moves no straight line
    assert legend(ax) == ["train, running mean of 40"]


def test_values_that_are_not_finite_are_counted():
    ax = training_curves({"val": [(0, -5.0), (1, float("nan")), (2, -4.0)]}).axes[0]
    assert legend(ax) == ["val (1 of 3 not finite)"]


def test_gradient_variance_has_a_logarithmic_axis_a_band_and_the_ratio_below():
    variances = {"encoder": [(0, 400.0, 40.0), (10, 100.0, 20.0)], "decoder": [(0, 9.0, 1.0), (10, 8.0, 1.0)]}
    ratios = {"encoder": [(0, 2.0), (10, 1.0)], "decoder": [(0, 3.0), (10, 2.0)]}
    above, below = gradient_variance(variances, snr=ratios).axes
    assert above.get_yscale() == below.get_yscale() == "log"
    np.testing.assert_array_equal(above.lines[0].get_ydata(), [400, 100])
    np.testing.assert_array_equal(below.lines[1].get_ydata(), [3, 2])
    band = above.collections[0].get_paths()[0].vertices
    assert band[band[:, 0] == 0][:, 1].max() == pytest.approx(400 * np.exp(0.1))
    assert band[band[:, 0] == 10][:, 1].min() == pytest.approx(100 * np.exp(-0.2))
    assert [line.get_color() for line in above.lines] == [line.get_color() for line in below.lines]
    assert legend(above) == ["encoder", "decoder"]
    assert above.get_legend().get_title().get_text() == "band: one standard error"
    assert "nats²" in above.get_ylabel()
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "step")


def test_without_a_ratio_there_is_one_panel():
    (ax,) = gradient_variance({"encoder": [(0, 400.0, 40.0)]}).axes
    assert ax.get_xlabel() == "step"


def test_noise_about_a_constant_looks_like_one():
    (ax,) = gradient_variance({"encoder": [(0, 7.00, 0.01), (10, 7.01, 0.01)]}).axes
    low, high = ax.get_ylim()
    assert high / low == pytest.approx(10)
    assert [tick.get_text() for tick in ax.get_yticklabels() if tick.get_text()]


def test_what_a_logarithm_cannot_show_is_counted_by_its_reason():
    points = [(0, 0.0, 0.0), (1, -1.0, 1.0), (2, float("inf"), 0.0), (3, 5.0, 1.0)]
    (ax,) = gradient_variance({"encoder": points}).axes
    assert legend(ax) == ["encoder (zero at 1, negative at 1, not finite at 1 of 4 points)"]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [np.nan, np.nan, np.nan, 5])


def test_a_gradient_without_any_variance_still_has_its_figure():
    above, below = gradient_variance({"encoder": [(0, 0.0, 0.0)]}, snr={"encoder": [(0, float("inf"))]}).axes
    assert legend(above) == ["encoder (zero at 1 of 1 points)"]
    assert legend(below) == ["encoder (not finite at 1 of 1 points)"]


@pytest.mark.parametrize("draw", [training_curves, gradient_variance])
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(ValueError, match="histories: expected a point to draw, got none"):
        draw({"train": []})


def test_a_history_still_empty_does_not_hide_the_others():
    (ax,) = training_curves({"train": [(0, -543.0)], "val": []}).axes
    assert legend(ax) == ["train", "val"]


def test_points_of_the_wrong_width_are_refused():
    with pytest.raises(ValueError, match=r"history of encoder: expected points of 3 numbers, got the shape \[1, 2\]"):
        gradient_variance({"encoder": [(0, 1.0)]})


def test_histories_of_a_journal_and_frames_are_drawn_alike():
    pandas = pytest.importorskip("pandas")
    points = [(0, -3.0), (5, -2.0), (10, -1.5)]
    frame = pandas.DataFrame(points, columns=["step", "value"])
    figure = curves({"val/a": points, "val/b": frame}, ylabel="nats")
    (ax,) = figure.axes
    for line in ax.lines:
        np.testing.assert_array_equal(line.get_xydata(), np.array(points))
    assert ax.get_ylabel() == "nats"
    assert ax.get_title(loc="left") == "val/a, val/b"
    with pytest.raises(ValueError, match="histories: expected a point to draw, got none"):
        curves({"val/a": []})
