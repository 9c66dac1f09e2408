import numpy as np
import pytest
import torch
from tests.figures.pictures import drawn, tiles
from tests.figures.test_grids import pixels

from reparam_suite.figures import (
    interpolation_grid,
    latent_traversal,
    reconstruction_grid,
    sample_grid,
    samples_along_training,
)


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_reconstructions_show_the_data_above_the_reconstructions():
    x, probabilities = pixels(5, 12).round(), pixels(5, 12)
    figure = reconstruction_grid(x, probabilities, image_shape=(3, 4))
    expected = torch.stack([x, probabilities]).reshape(2, 5, 3, 4)
    np.testing.assert_array_equal(tiles(figure, 3, 4), drawn(expected))
    assert labels(figure.axes[0].get_yticklabels()) == ["data", "reconstruction"]


def test_no_more_than_16_are_shown_and_the_title_says_so():
    figure = reconstruction_grid(pixels(20, 4), pixels(20, 4), image_shape=(1, 2, 2))
    assert tiles(figure, 2, 2).shape[:2] == (2, 16)
    assert "first 16 of 20" in figure.axes[0].get_title(loc="left")


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


@pytest.mark.parametrize("number", [1, 7, 300])
def test_prior_samples_are_all_there_in_order(number):
    samples = pixels(number, 2, 2)
    found = tiles(sample_grid(samples, image_shape=(2, 2)), 2, 2)
    assert found.shape[1] <= 16
    found = found.reshape(-1, 2, 2, 3)
    np.testing.assert_array_equal(found[:number], drawn(samples))
    assert (found[number:] == 255).all()


def test_a_traversal_has_a_row_per_latent_and_a_column_per_value():
    images = pixels(3, 5, 2, 3)
    figure = latent_traversal(images, torch.linspace(-2, 2, 5), image_shape=(2, 3))
    np.testing.assert_array_equal(tiles(figure, 2, 3), drawn(images))
    (ax,) = figure.axes
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


def test_a_row_of_samples_for_each_step():
    images = {100: pixels(3, 4), 0: pixels(3, 4), 1600: pixels(3, 4)}
    figure = samples_along_training(images, image_shape=(2, 2))
    assert tiles(figure, 2, 2).shape[:2] == (3, 3)
    assert labels(figure.axes[0].get_yticklabels()) == ["step 0", "step 100", "step 1,600"]


def test_rows_between_pairs_have_to_fit():
    with pytest.raises(ValueError, match=r"between: expected 3 images for each of 2 pairs, got \[2, 4, 4\] for"):
        interpolation_grid(pixels(2, 2, 4), pixels(2, 4, 4), [0.0, 0.5, 1.0], image_shape=(2, 2), title="")
