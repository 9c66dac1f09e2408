"""Grids of images: data, reconstructions, samples and traversals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.grids import as_images, fit, flattened, grid, label_columns, label_rows
from reparam_suite.figures.style import COLOURS, QUIET, WIDTH, Array, finite, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_COLUMNS = 16
NUM_LINES = 4


@styled
def reconstruction_grid(
    x: Array,
    means: Array,
    *,
    image_shape: Sequence[int] | None,
    title: str = "Data and their reconstructions",
) -> Figure:
    """Data above their reconstructions, the first 16; lines of the first 4 where the data are no images.

    x and means (of p(x|z)) are [N, *event]; image_shape is [H, W], [1, H, W] or [3, H, W].
    """
    data, shown = flattened("x", x, "N"), flattened("means", means, "N")
    if data.shape != shown.shape:
        raise ValueError(f"means: expected the shape of x, {list(data.shape)}, got {list(shown.shape)}")
    if image_shape is None:
        return _lines(
            {"data": data, "reconstruction": shown}, f"{title}{_first(NUM_LINES, len(data))}", ("datum {}", 0)
        )
    tiles = np.stack([as_images(data, image_shape), as_images(shown, image_shape)])[:, :NUM_COLUMNS]
    figure, ax = grid(tiles, title=f"{title}{_first(NUM_COLUMNS, len(data))}")
    label_rows(ax, tiles, ["data", "reconstruction"])
    fit(figure, ax)
    return figure


@styled
def sample_grid(images: Array, *, image_shape: Sequence[int] | None, title: str | None = None) -> Figure:
    """Samples from the prior, all of them, in a square grid of at most 16 columns; lines of the first 4 if no images.

    images is [N, *event]; image_shape is [H, W], [1, H, W] or [3, H, W].
    """
    samples = flattened("images", images, "N")
    if title is None:
        title = "One sample from the prior" if len(samples) == 1 else f"{len(samples)} samples from the prior"
    if image_shape is None:
        return _lines({"sample": samples}, f"{title}{_first(NUM_LINES, len(samples))}", ("sample {}", 1))
    pictures = as_images(samples, image_shape)
    columns = min(NUM_COLUMNS, math.ceil(math.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    tiles = np.full((rows * columns, *pictures.shape[1:]), np.nan)
    tiles[: len(pictures)] = pictures
    figure, ax = grid(tiles.reshape(rows, columns, *pictures.shape[1:]), title=title)
    fit(figure, ax)
    return figure


@styled
def latent_traversal(
    images: Array,
    values: Array | Sequence[float],
    *,
    image_shape: Sequence[int],
    names: Sequence[str] | None = None,
) -> Figure:
    """One Gaussian latent a row, moved through `values` from left to right while the others stay.

    images is [D, S, *event], values [S] in prior standard deviations; image_shape is [H, W], [1, H, W] or [3, H, W].
    `names` label the rows; "latent 0" onwards where there are none.
    """
    pixels = flattened("images", images, "D", "S")
    moved = finite("values", values if not isinstance(values, Sequence) else np.asarray(values), "S")
    num_latents, num_values, _ = pixels.shape
    labels = [f"latent {d}" for d in range(num_latents)] if names is None else list(names)
    if len(moved) != num_values or len(labels) != num_latents:
        raise ValueError(
            f"images: expected {num_values} values and {num_latents} names for {list(pixels.shape)}, "
            f"got {len(moved)} and {len(labels)}"
        )
    tiles = as_images(pixels, image_shape)
    figure, ax = grid(tiles, title="Each row varies one latent, the others stay fixed")
    label_rows(ax, tiles, labels)
    label_columns(ax, tiles, [signed(value) for value in moved])
    ax.set_xlabel("value of the moved latent (standard deviations of the prior)")
    fit(figure, ax)
    return figure


@styled
def interpolation_grid(
    x: Array, between: Array, weights: Array | Sequence[float], *, image_shape: Sequence[int], title: str
) -> Figure:
    """One pair of data a row, at its ends; between them what is decoded on the way from one to the other.

    x is [N, 2, *event], between [N, S, *event] and weights, of the second datum, [S]; image_shape is [H, W], [1, H, W]
    or [3, H, W].
    """
    ends, inner = flattened("x", x, "N", "2"), flattened("between", between, "N", "S")
    moved = finite("weights", weights if not isinstance(weights, Sequence) else np.asarray(weights), "S")
    if ends.shape[1] != 2 or inner.shape[1] != len(moved) or len(inner) != len(ends):
        raise ValueError(
            f"between: expected {len(moved)} images for each of {len(ends)} pairs, got {list(inner.shape)} "
            f"for data of {list(ends.shape)}"
        )
    tiles = as_images(np.concatenate([ends[:, :1], inner, ends[:, 1:]], axis=1), image_shape)
    figure, ax = grid(tiles, title=title)
    label_columns(ax, tiles, ["data", *(f"{weight:.3g}" for weight in moved), "data"])
    ax.set_xlabel("weight of the datum at the right")
    fit(figure, ax)
    return figure


@styled
def samples_along_training(images: Mapping[int, Array], *, image_shape: Sequence[int]) -> Figure:
    """Samples at the same noise, a row for each step of the training.

    images are [N, *event] by step; image_shape is [H, W], [1, H, W] or [3, H, W].
    """
    steps = sorted(images)
    rows = [flattened(f"images at step {step}", images[step], "N") for step in steps]
    tiles = np.stack([as_images(row, image_shape) for row in rows])
    figure, ax = grid(tiles, title="Samples along training, at the same noise")
    label_rows(ax, tiles, [f"step {step:,}" for step in steps])
    fit(figure, ax)
    return figure


def signed(value: float) -> str:
    """A number of two digits with its sign, for an axis."""
    return f"{value:+.2g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def _first(limit: int, number: int) -> str:
    return f", first {limit} of {number}" if number > limit else ""


def _lines(rows: Mapping[str, npt.NDArray[np.float64]], title: str, label: tuple[str, int]) -> Figure:
    """A panel for each of the first data: a line over its components, or bars where there is a single one."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    first = next(iter(rows.values()))
    number, size = min(NUM_LINES, len(first)), first.shape[1]
    marker = "o" if size <= NUM_LINES * NUM_COLUMNS else ""
    named, start = label
    colours = [COLOURS[0]] if len(rows) == 1 else [QUIET, COLOURS[0]]
    figure = Figure(figsize=(WIDTH, 1.0 + 1.1 * number))
    panels = figure.subplots(number, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for index, ax in enumerate(panels):
        for place, (name, values) in enumerate(rows.items()):
            if size == 1:
                ax.bar(place, values[index, 0], color=colours[place], label=name)
            else:
                ax.plot(values[index], color=colours[place], marker=marker, markersize=4 - place, label=name)
        ax.set_ylabel(named.format(index + start))
    panels[0].set_title(title)
    if len(rows) > 1:
        panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    panels[-1].set_xlabel("component of x")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
