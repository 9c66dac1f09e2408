"""Images on axes: pixel by pixel, their greys and colours, and which data are images."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from tests.figures.pictures import drawn, tiles

from reparam_suite.figures import reconstruction_grid, sample_grid
from reparam_suite.figures.grids import shown_shape


def pixels(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_a_pixel_of_the_picture_is_one_of_the_figure():
    figure = reconstruction_grid(pixels(3, 30), pixels(3, 30), image_shape=(6, 5))
    figure.draw_without_rendering()
    (picture,) = figure.axes[0].images
    box = picture.get_window_extent()
    assert (box.height, box.width) == pytest.approx(picture.get_array().shape[:2])
    assert [box.x0, box.y0] == pytest.approx([round(box.x0), round(box.y0)])


def test_what_is_drawn_is_the_array_pixel_by_pixel():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    samples = pixels(3, 64).round()
    figure = sample_grid(samples, image_shape=(8, 8))  # two in the first row
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = np.asarray(canvas.buffer_rgba())[..., 0]
    box = figure.axes[0].images[0].get_window_extent()
    for row, column, sample in ((0, 0, samples[0]), (0, 1, samples[1]), (1, 0, samples[2])):
        top, left = shown.shape[0] - round(box.y1) + 4 + 52 * row, round(box.x0) + 4 + 52 * column
        tile = shown[top : top + 48, left : left + 48]
        np.testing.assert_array_equal(tile, np.kron(255 * (1 - sample.reshape(8, 8).numpy()), np.ones((6, 6))))


def test_greys_run_from_zero_to_one_whatever_the_data():
    samples = 0.4 + 0.1 * pixels(4, 3, 3)
    figure = sample_grid(samples, image_shape=(3, 3))
    np.testing.assert_array_equal(tiles(figure, 3, 3).reshape(4, 3, 3, 3), drawn(samples))
    assert not figure.axes[0].child_axes


def test_values_beyond_zero_and_one_are_shown_and_read_off_a_colour_bar():
    values = torch.tensor([[-1.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 3.0]])
    figure = sample_grid(values, image_shape=(2, 2))
    np.testing.assert_array_equal(tiles(figure, 2, 2)[0], drawn((values.reshape(2, 2, 2) + 1.0) / 4.0))
    (bar,) = figure.axes[0].child_axes
    assert bar.get_ylabel() == "pixel value"
    assert bar.get_ylim() == (-1.0, 3.0)


def test_colours_are_red_green_and_blue():
    images = pixels(2, 3, 4, 5)
    np.testing.assert_array_equal(
        tiles(sample_grid(images, image_shape=(3, 4, 5)), 4, 5)[0], drawn(images, in_colour=True)
    )


def test_colours_beyond_zero_and_one_are_scaled_and_the_title_says_so():
    images = torch.tensor([-1.0, 0.0, 3.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    figure = sample_grid(images, image_shape=(3, 2, 2))
    assert tiles(figure, 2, 2)[0, 0, 0, 0].tolist() == [0, 64, 255]
    assert figure.axes[0].get_title(loc="left").endswith("colours from -1 to 3")


@pytest.mark.parametrize(
    ("event_shape", "shown"),
    [
        ((64,), (8, 8)),
        ((5, 7), (5, 7)),
        ((1, 5, 7), (5, 7)),
        ((3, 5, 7), (3, 5, 7)),
        ((30,), None),
        ((1,), None),
        ((2, 5, 7), None),
        ((), None),
    ],
)
def test_the_shape_of_an_image_follows_from_that_of_a_datum(event_shape, shown):
    assert shown_shape(event_shape) == shown


def test_tensors_of_any_precision_that_still_need_a_gradient_are_drawn():
    samples = pixels(2, 2, 2).bfloat16().requires_grad_()
    figure = sample_grid(samples, image_shape=(2, 2))
    np.testing.assert_array_equal(tiles(figure, 2, 2)[0], drawn(samples.detach().float()))


def test_matplotlib_is_left_as_it_was():
    before = dict(mpl.rcParams)
    sample_grid(pixels(2, 4), image_shape=(2, 2))
    assert dict(mpl.rcParams) == before
