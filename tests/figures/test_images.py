import matplotlib as mpl
import numpy as np
import pytest
import torch

from reparam_suite.figures import (
    interpolation_grid,
    latent_traversal,
    reconstruction_grid,
    sample_grid,
    samples_along_training,
)
from reparam_suite.figures.images import shown_shape


def pixels(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def arrays(ax):
    return [np.asarray(image.get_array()) for image in ax.images]


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_reconstructions_show_the_data_above_the_reconstructions():
    x, probabilities = pixels(5, 12).round(), pixels(5, 12)
    figure = reconstruction_grid(x, probabilities, image_shape=(3, 4))
    (ax,) = figure.axes
    expected = torch.cat([x, probabilities]).reshape(10, 3, 4).double().numpy()
    np.testing.assert_array_equal(arrays(ax), expected)
    assert labels(ax.get_yticklabels()) == ["data", "reconstruction"]
    tops = [image.get_extent()[3] for image in ax.images]
    assert max(tops[:5]) < min(tops[5:])  # the y axis runs down


def test_no_more_than_16_are_shown_and_the_title_says_so():
    figure = reconstruction_grid(pixels(20, 4), pixels(20, 4), image_shape=(1, 2, 2))
    assert len(figure.axes[0].images) == 32
    assert "first 16 of 20" in figure.axes[0].get_title(loc="left")


def test_an_image_pixel_takes_a_whole_number_of_figure_pixels():
    figure = reconstruction_grid(pixels(3, 30), pixels(3, 30), image_shape=(6, 5))
    figure.draw_without_rendering()
    for image in figure.axes[0].images:
        box = image.get_window_extent()
        assert (box.width / 5, box.height / 6) == pytest.approx((8, 8))
        assert [box.x0, box.y0] == pytest.approx([round(box.x0), round(box.y0)])


def test_what_is_drawn_is_the_array_pixel_by_pixel():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    sample = pixels(1, 64).round()
    figure = sample_grid(sample, image_shape=(8, 8))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., 0]
    box = figure.axes[0].images[0].get_window_extent()
    top, left = drawn.shape[0] - round(box.y1), round(box.x0)
    tile = drawn[top : top + 48, left : left + 48]
    np.testing.assert_array_equal(tile, np.kron(255 * (1 - sample.reshape(8, 8).numpy()), np.ones((6, 6))))


def test_greys_run_from_zero_to_one_whatever_the_data():
    figure = sample_grid(0.4 + 0.1 * pixels(4, 9), image_shape=(3, 3))
    assert {image.get_clim() for image in figure.axes[0].images} == {(0.0, 1.0)}
    assert not figure.axes[0].child_axes


def test_values_beyond_zero_and_one_are_shown_and_read_off_a_colour_bar():
    figure = sample_grid(torch.tensor([[-1.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 3.0]]), image_shape=(2, 2))
    assert {image.get_clim() for image in figure.axes[0].images} == {(-1.0, 3.0)}
    (bar,) = figure.axes[0].child_axes
    assert bar.get_ylabel() == "pixel value"


def test_data_without_an_image_shape_are_drawn_as_lines():
    x, means = pixels(6, 30), pixels(6, 30)
    figure = reconstruction_grid(x, means, image_shape=None)
    assert len(figure.axes) == 4
    for index, ax in enumerate(figure.axes):
        data, reconstruction = ax.lines
        np.testing.assert_array_equal(data.get_ydata(), x[index].double())
        np.testing.assert_array_equal(reconstruction.get_ydata(), means[index].double())
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["data", "reconstruction"]
    assert "first 4 of 6" in figure.axes[0].get_title(loc="left")


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


def test_colours_are_red_green_and_blue():
    images = pixels(2, 3, 4, 5)
    (ax,) = sample_grid(images, image_shape=(3, 4, 5)).axes
    np.testing.assert_array_equal(arrays(ax), images.permute(0, 2, 3, 1).double().numpy())


def test_colours_beyond_zero_and_one_are_scaled_and_the_title_says_so():
    images = torch.tensor([-1.0, 0.0, 3.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    (ax,) = sample_grid(images, image_shape=(3, 2, 2)).axes
    np.testing.assert_allclose(arrays(ax)[0][0, 0], [0.0, 0.25, 1.0])
    assert ax.get_title(loc="left").endswith("colours from -1 to 3")


def test_samples_that_are_no_images_are_lines():
    samples = pixels(6, 30)
    figure = sample_grid(samples, image_shape=None)
    assert [ax.get_ylabel() for ax in figure.axes] == ["sample 1", "sample 2", "sample 3", "sample 4"]
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), samples[2].double())


def test_a_single_number_is_a_bar():
    x, means = pixels(2, 1), pixels(2, 1)
    figure = reconstruction_grid(x, means, image_shape=None)
    heights = [[bar.get_height() for bar in ax.patches] for ax in figure.axes]
    assert heights == [[x[row].item(), means[row].item()] for row in range(2)]


@pytest.mark.parametrize("number", [1, 7, 64, 300])
def test_prior_samples_are_all_there_in_order(number):
    samples = pixels(number, 4)
    (ax,) = sample_grid(samples, image_shape=(2, 2)).axes
    np.testing.assert_array_equal(arrays(ax), samples.reshape(-1, 2, 2).double().numpy())
    assert len({image.get_extent()[0] for image in ax.images}) <= 16


def test_a_traversal_has_a_row_per_latent_and_a_column_per_value():
    images = pixels(3, 5, 6)
    (ax,) = latent_traversal(images, torch.linspace(-2, 2, 5), image_shape=(2, 3)).axes
    np.testing.assert_array_equal(arrays(ax), images.reshape(15, 2, 3).double().numpy())
    assert labels(ax.get_yticklabels()) == ["latent 0", "latent 1", "latent 2"]
    assert labels(ax.get_xticklabels()) == ["\N{MINUS SIGN}2", "\N{MINUS SIGN}1", "0", "+1", "+2"]
    assert "standard deviations" in ax.get_xlabel()


def test_a_traversal_takes_names():
    (ax,) = latent_traversal(pixels(2, 1, 4), [0.5], image_shape=(2, 2), names=["slant", "width"]).axes
    assert labels(ax.get_yticklabels()) == ["slant", "width"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sample_grid(pixels(2, 5), image_shape=(2, 2)),
            r"image_shape: expected .* with 5 numbers in all, got \[2, 2\]",
        ),
        (lambda: sample_grid(pixels(2, 12), image_shape=(4, 1, 3)), r"with 12 numbers in all, got \[4, 1, 3\]"),
        (lambda: sample_grid(pixels(4), image_shape=(2, 2)), r"images: expected the shape \[N, P\] .*, got \[4\]"),
        (lambda: sample_grid(pixels(0, 4), image_shape=(2, 2)), "not empty"),
        (lambda: sample_grid(torch.full((1, 4), torch.nan), image_shape=(2, 2)), "expected finite values, got 4"),
        (
            lambda: reconstruction_grid(pixels(2, 4), pixels(3, 4), image_shape=None),
            r"means: expected the shape of x, \[2, 4\], got \[3, 4\]",
        ),
        (
            lambda: latent_traversal(pixels(2, 3, 4), [0.0], image_shape=(2, 2)),
            "expected 3 values and 2 names .* got 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tensors_of_any_precision_that_still_need_a_gradient_are_drawn():
    samples = pixels(2, 4).bfloat16().requires_grad_()
    (ax,) = sample_grid(samples, image_shape=(2, 2)).axes
    np.testing.assert_array_equal(arrays(ax), samples.detach().reshape(2, 2, 2).double().numpy())


def test_matplotlib_is_left_as_it_was():
    before = dict(mpl.rcParams)
    sample_grid(pixels(2, 4), image_shape=(2, 2))
    assert dict(mpl.rcParams) == before


def test_a_row_of_samples_for_each_step():
    figure = samples_along_training({100: pixels(3, 4), 0: pixels(3, 4), 1600: pixels(3, 4)}, image_shape=(2, 2))
    (ax,) = figure.axes
    assert len(ax.images) == 9
    assert [label.get_text() for label in ax.get_yticklabels()] == ["step 0", "step 100", "step 1,600"]


def test_rows_between_pairs_have_to_fit():
    with pytest.raises(ValueError, match=r"between: expected 3 images for each of 2 pairs, got \[2, 4, 4\] for"):
        interpolation_grid(pixels(2, 2, 4), pixels(2, 4, 4), [0.0, 0.5, 1.0], image_shape=(2, 2), title="")
