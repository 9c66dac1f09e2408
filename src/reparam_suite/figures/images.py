"""Grids of images: data, reconstructions, samples and traversals; an image pixel is a whole number of figure pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import COLOURS, HAIRLINE, QUIET, WIDTH, Array, finite, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_COLUMNS = 16
NUM_LINES = 4
TILE = 48
"""Figure pixels that one image takes, about."""
GAP = 4
_SHAPES = "[H, W], [1, H, W] or [3, H, W]"


def shown_shape(event_shape: Sequence[int]) -> tuple[int, ...] | None:
    """The shape in which data are shown as images: [H, W], or [3, H, W] in colour; None where they are no images.

    A vector whose length is a square, and not 1, is shown as a square image.
    """
    shape = tuple(event_shape)
    if len(shape) == 1 and (side := math.isqrt(shape[0])) > 1 and side * side == shape[0]:
        return (side, side)
    if len(shape) == 3 and shape[0] == 1:
        return shape[1:]
    return shape if len(shape) == 2 or (len(shape) == 3 and shape[0] == 3) else None


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
    data, shown = _rows("x", x), _rows("means", means)
    if data.shape != shown.shape:
        raise ValueError(f"means: expected the shape of x, {list(data.shape)}, got {list(shown.shape)}")
    if image_shape is None:
        return _lines(
            {"data": data, "reconstruction": shown}, f"{title}{_first(NUM_LINES, len(data))}", ("datum {}", 0)
        )
    tiles = np.stack([_as_images(data, image_shape), _as_images(shown, image_shape)])[:, :NUM_COLUMNS]
    figure, ax = _grid(tiles, title=f"{title}{_first(NUM_COLUMNS, len(data))}")
    _label_rows(ax, tiles, ["data", "reconstruction"])
    _fit(figure, ax)
    return figure


@styled
def sample_grid(images: Array, *, image_shape: Sequence[int] | None, title: str | None = None) -> Figure:
    """Samples from the prior, all of them, in a square grid of at most 16 columns; lines of the first 4 if no images.

    images is [N, *event]; image_shape is [H, W], [1, H, W] or [3, H, W].
    """
    samples = _rows("images", images)
    if title is None:
        title = "One sample from the prior" if len(samples) == 1 else f"{len(samples)} samples from the prior"
    if image_shape is None:
        return _lines({"sample": samples}, f"{title}{_first(NUM_LINES, len(samples))}", ("sample {}", 1))
    pictures = _as_images(samples, image_shape)
    columns = min(NUM_COLUMNS, math.ceil(math.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    tiles = np.full((rows * columns, *pictures.shape[1:]), np.nan)
    tiles[: len(pictures)] = pictures
    figure, ax = _grid(tiles.reshape(rows, columns, *pictures.shape[1:]), title=title)
    _fit(figure, ax)
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
    pixels = finite("images", _flattened(images, 2), "D", "S", "P")
    moved = finite("values", values if not isinstance(values, Sequence) else np.asarray(values), "S")
    num_latents, num_values, _ = pixels.shape
    labels = [f"latent {d}" for d in range(num_latents)] if names is None else list(names)
    if len(moved) != num_values or len(labels) != num_latents:
        raise ValueError(
            f"images: expected {num_values} values and {num_latents} names for {list(pixels.shape)}, "
            f"got {len(moved)} and {len(labels)}"
        )
    tiles = _as_images(pixels, image_shape)
    figure, ax = _grid(tiles, title="Each row varies one latent, the others stay fixed")
    _label_rows(ax, tiles, labels)
    ax.set_xticks(
        _centres(num_values, _scale(tiles) * tiles.shape[-1]),
        [_signed(value) for value in moved],
    )
    ax.set_xlabel("value of the moved latent (standard deviations of the prior)")
    _fit(figure, ax)
    return figure


@styled
def interpolation_grid(
    x: Array, between: Array, weights: Array | Sequence[float], *, image_shape: Sequence[int], title: str
) -> Figure:
    """One pair of data a row, at its ends; between them what is decoded on the way from one to the other.

    x is [N, 2, *event], between [N, S, *event] and weights, of the second datum, [S]; image_shape is [H, W], [1, H, W]
    or [3, H, W].
    """
    ends = finite("x", _flattened(x, 2), "N", "2", "P")
    inner = finite("between", _flattened(between, 2), "N", "S", "P")
    moved = finite("weights", weights if not isinstance(weights, Sequence) else np.asarray(weights), "S")
    if ends.shape[1] != 2 or inner.shape[1] != len(moved) or len(inner) != len(ends):
        raise ValueError(
            f"between: expected {len(moved)} images for each of {len(ends)} pairs, got {list(inner.shape)} "
            f"for data of {list(ends.shape)}"
        )
    tiles = _as_images(np.concatenate([ends[:, :1], inner, ends[:, 1:]], axis=1), image_shape)
    figure, ax = _grid(tiles, title=title)
    labels = ["data", *(f"{weight:.3g}" for weight in moved), "data"]
    ax.set_xticks(_centres(len(labels), _scale(tiles) * tiles.shape[-1]), labels)
    ax.set_xlabel("weight of the datum at the right")
    _fit(figure, ax)
    return figure


@styled
def samples_along_training(images: Mapping[int, Array], *, image_shape: Sequence[int]) -> Figure:
    """Samples at the same noise, a row for each step of the training.

    images are [N, *event] by step; image_shape is [H, W], [1, H, W] or [3, H, W].
    """
    steps = sorted(images)
    tiles = np.stack([_as_images(_rows(f"images at step {step}", images[step]), image_shape) for step in steps])
    figure, ax = _grid(tiles, title="Samples along training, at the same noise")
    _label_rows(ax, tiles, [f"step {step:,}" for step in steps])
    _fit(figure, ax)
    return figure


def _flattened(values: Array, axes: int) -> Array:
    # [..., *event] -> [..., P], where `axes` stand before the event's.
    shape = tuple(values.shape)
    return values if len(shape) <= axes + 1 else values.reshape(*shape[:axes], math.prod(shape[axes:]))


def _rows(name: str, values: Array) -> npt.NDArray[np.float64]:
    return finite(name, _flattened(values, 1), "N", "P")


def _as_images(pixels: npt.NDArray[np.float64], image_shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """[..., P] -> [..., H, W], or [..., 3, H, W] in colour."""
    shape = shown_shape(image_shape) if len(image_shape) > 1 else None
    if shape is None or math.prod(shape) != pixels.shape[-1]:
        raise ValueError(
            f"image_shape: expected {_SHAPES} with {pixels.shape[-1]} numbers in all, got {list(image_shape)}"
        )
    return pixels.reshape(*pixels.shape[:-1], *shape)


def _first(limit: int, number: int) -> str:
    return f", first {limit} of {number}" if number > limit else ""


def _grid(tiles: npt.NDArray[np.float64], *, title: str) -> tuple[Figure, Axes]:
    """[rows, columns, H, W] as a grid of images in greys from 0 (white) to 1 (black); a tile of NaN stays empty.

    Values beyond [0, 1] stretch the greys to the range that is there, and a colour bar says so. Tiles [3, H, W] are in
    colour, from 0 to 1 or the range that is there, which the title then says. The axes' unit is the figure's pixel.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows, columns, height, width = *tiles.shape[:2], *tiles.shape[-2:]
    scale, in_colour = _scale(tiles), tiles.ndim == 5
    low, high = min(0.0, float(np.nanmin(tiles))), max(1.0, float(np.nanmax(tiles)))

    figure = Figure()
    figure.set_layout_engine("none")
    ax = figure.add_subplot()
    present = ~np.isnan(tiles.reshape(rows, columns, -1)[..., 0])
    for row, column in np.argwhere(present):
        left, top = column * (scale * width + GAP), row * (scale * height + GAP)
        box = (left, left + scale * width, top + scale * height, top)
        tile = tiles[row, column]
        shown = ((tile - low) / (high - low)).transpose(1, 2, 0) if in_colour else tile
        image = ax.imshow(shown, cmap="Greys", vmin=low, vmax=high, interpolation="nearest", extent=box, zorder=2)
        corner = (left - GAP, top - GAP)
        ax.add_patch(Rectangle(corner, scale * width + 2 * GAP, scale * height + 2 * GAP, color=HAIRLINE, linewidth=0))
    ax.set(xlim=(-GAP, columns * (scale * width + GAP)), ylim=(rows * (scale * height + GAP), -GAP), aspect="auto")
    if (low, high) != (0.0, 1.0) and in_colour:
        title = f"{title}; colours from {low:.3g} to {high:.3g}"
    elif (low, high) != (0.0, 1.0):
        bar = figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.02, 1)), label="pixel value")
        bar.outline.set_visible(False)
    ax.set_title(title)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xticks=[], yticks=[])
    return figure, ax


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def _scale(tiles: npt.NDArray[np.float64]) -> int:
    return max(1, round(TILE / int(max(tiles.shape[-2:]))))


def _centres(number: int, size: int) -> list[float]:
    return [index * (size + GAP) + size / 2 for index in range(number)]


def _label_rows(ax: Axes, tiles: npt.NDArray[np.float64], labels: Sequence[str]) -> None:
    ax.set_yticks(_centres(len(labels), _scale(tiles) * tiles.shape[-2]), labels)


def _fit(figure: Figure, ax: Axes) -> None:
    """Size the figure around its texts so that each image pixel takes the same whole number of figure pixels.

    A layout engine scales by fractions, and strokes one pixel wide then come out one or two wide by chance.
    """
    size = np.abs([np.diff(ax.get_xlim())[0], np.diff(ax.get_ylim())[0]])

    def place(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> None:
        whole = before + size + after
        figure.set_size_inches(whole / figure.dpi)
        ax.set_position((*(before / whole), *(size / whole)))

    place(np.zeros(2), np.zeros(2))
    texts = ax.get_tightbbox()
    assert texts is not None
    margin = 10
    place(np.ceil(margin - np.asarray(texts.min)), np.ceil(margin + np.asarray(texts.max) - size))


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
