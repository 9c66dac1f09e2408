"""Bands over runs: mean, standard error, and an axis that can show them."""

import numpy as np
import pytest

from reparam_suite.figures import Band, band, banded_curves


def test_a_band_is_the_mean_and_its_standard_error_at_the_steps_of_all_runs():
    shown = band([[(1, 2.0), (2, 5.0), (3, 1.0)], [(2, 9.0), (1, 4.0)]])
    assert shown.step.tolist() == [1.0, 2.0]
    assert shown.mean.tolist() == [3.0, 7.0]
    assert shown.error == pytest.approx([1.0, 2.0])
    with pytest.raises(ValueError, match="histories: expected a step in common, got none"):
        band([[(1, 2.0)], [(2, 2.0)]])


@pytest.mark.parametrize(
    ("mean", "logarithmic", "scale"),
    [
        ([1.0, 100.0], True, "log"),
        ([-1.0, 100.0], True, "log"),
        ([-2e35, -1e35], True, "linear"),
        ([np.nan, np.inf], True, "linear"),
        ([1.0, 100.0], False, "linear"),
    ],
)
def test_the_axis_is_logarithmic_where_it_can_show_something(mean, logarithmic, scale):
    bands = {"Pathwise": Band(np.array([1.0, 2.0]), np.array(mean), np.full(2, np.nan))}
    figure = banded_curves(bands, quantity="variance", logarithmic=logarithmic)
    figure.draw_without_rendering()
    assert figure.axes[0].get_yscale() == scale
