import numpy as np
import pytest

from reparam_suite.figures import element_variances


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def heights(ax, index):
    """Of the outline: its steps go up and down at every edge."""
    return sum(ax.patches[index].get_xy()[1:-1:2, 1])


def test_every_group_has_a_panel_with_a_histogram_for_each_time():
    values = {"encoder": np.array([1e-6, 1e-5, 1e-5, 1e-4]), "decoder": np.full((2, 3), 1e-2)}
    later = {name: 100.0 * value for name, value in values.items()}
    encoder, decoder = element_variances({"step 1": values, "step 20": later}).axes
    assert [ax.get_title(loc="left") for ax in (encoder, decoder)] == ["encoder, 4 elements", "decoder, 6 elements"]
    assert legend(encoder) == legend(decoder) == ["step 1", "step 20"]
    # The dotted medians lie two decades apart.
    np.testing.assert_allclose([line.get_xdata()[0] for line in encoder.lines], [-5.0, -3.0])
    np.testing.assert_allclose([line.get_xdata()[0] for line in decoder.lines], [-2.0, 0.0])


def test_heights_are_shares_of_all_elements_and_those_without_variance_are_counted():
    values = {"encoder": np.array([0.0, 0.0, 0.0, 1e-4]), "prior": np.array([1e-20, 0.0])}
    encoder, prior = element_variances({"step 1": values}).axes
    assert legend(encoder) == ["step 1 (3 of 4 without variance)"]
    assert heights(encoder, 1) == pytest.approx(0.25)
    assert legend(prior) == ["step 1 (2 of 2 without variance)"], "1e-20 beside 1e-4 is rounding"
    assert not prior.lines
    assert not len(prior.get_xticks()), "there is nothing to read off"


def test_a_group_that_comes_later_has_its_panel():
    figure = element_variances({"step 1": {"encoder": np.ones(3)}, "step 2": {"decoder": np.ones(2)}})
    assert [legend(ax) for ax in figure.axes] == [["step 1"], ["step 2"]]


def test_what_rounding_made_negative_is_without_variance_and_what_is_not_finite_is_counted():
    values = np.array([1.0, -1e-18, np.nan, 2.0])
    (ax,) = element_variances({"step 1": {"encoder": values}}).axes
    assert legend(ax) == ["step 1 (1 of 4 without variance, 1 of 4 not finite)"]
    (ax,) = element_variances({"step 1": {"encoder": np.array([np.nan])}}).axes
    assert legend(ax) == ["step 1 (1 of 1 not finite)"]


def test_no_group_is_refused():
    with pytest.raises(ValueError, match="variances: expected a group to draw, got none"):
        element_variances({"step 1": {}})


def test_the_marks_of_the_axis_say_where_they_are():
    """A tick at 2.5 % is not called 2 %."""
    rng = np.random.default_rng(0)
    (ax,) = element_variances({"step 1": {"encoder": 10.0 ** rng.normal(-6.0, 1.0, 10_000)}}).axes
    told = [float(label.get_text().removesuffix("%")) / 100.0 for label in ax.get_yticklabels()]
    assert len(told) > 2
    np.testing.assert_allclose(told, ax.get_yticks(), atol=1e-9)
