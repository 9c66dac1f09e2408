"""Data, reconstructions, prior samples and traversals, at a whole number of figure pixels per image pixel."""

from __future__ import annotations

from collections.abc import Sequence
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
"""Figure pixels that one image should about take."""
GAP = 4


@styled
def reconstructions(x: Array, probabilities: Array, *, image_shape: Sequence[int] | None) -> Figure:
    """Data above their reconstructions, the first 16; lines of the first 4 where the data are no images.

    x and probabilities (the mean of p(x|z)) are [N, P]; image_shape is [H, W] or [1, H, W].
    """
    data, means = finite("x", x, "N", "P"), finite("probabilities", probabilities, "N", "P")
    if data.shape != means.shape:
        raise ValueError(f"x is {list(data.shape)} and probabilities {list(means.shape)}; they must be alike")
    if image_shape is None:
        return _lines(data, means)
    shown = _first(NUM_COLUMNS, len(data))
    tiles = np.stack([_as_images(data, image_shape), _as_images(means, image_shape)])[:, :NUM_COLUMNS]
    figure, ax = _grid(tiles, title=f"Data and their reconstructions{shown}")
    _label_rows(ax, tiles, ["data", "reconstruction"])
    _fit(figure, ax)
    return figure


@styled
def prior_samples(images: Array, *, image_shape: Sequence[int]) -> Figure:
    """The mean images of samples from the prior, all of them, in a square grid of at most 16 columns.

    images is [N, P]; image_shape is [H, W] or [1, H, W].
    """
    samples = _as_images(finite("images", images, "N", "P"), image_shape)
    columns = min(NUM_COLUMNS, int(np.ceil(np.sqrt(len(samples)))))
    rows = -(-len(samples) // columns)
    tiles = np.full((rows * columns, *samples.shape[1:]), np.nan)
    tiles[: len(samples)] = samples
    tiles = tiles.reshape(rows, columns, *samples.shape[1:])
    title = "One sample from the prior" if len(samples) == 1 else f"{len(samples)} samples from the prior"
    figure, ax = _grid(tiles, title=title)
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

    images is [D, S, P], values [S] in prior standard deviations; image_shape is [H, W] or [1, H, W].
    `names` label the rows; "latent 0" onwards where there are none.
    """
    pixels = finite("images", images, "D", "S", "P")
    moved = finite("values", values if not isinstance(values, Sequence) else np.asarray(values), "S")
    num_latents, num_values, _ = pixels.shape
    labels = [f"latent {d}" for d in range(num_latents)] if names is None else list(names)
    if len(moved) != num_values or len(labels) != num_latents:
        raise ValueError(
            f"images is {list(pixels.shape)}; it needs {num_values} values and {num_latents} names, "
            f"not {len(moved)} and {len(labels)}"
        )
    tiles = _as_images(pixels, image_shape)
    figure, ax = _grid(tiles, title="Each row moves one latent, the others stay")
    _label_rows(ax, tiles, labels)
    ax.set_xticks(
        _centres(num_values, _scale(tiles) * tiles.shape[3]),
        [_signed(value) for value in moved],
    )
    ax.set_xlabel("value of the moved latent (standard deviations of the prior)")
    _fit(figure, ax)
    return figure


def _as_images(pixels: npt.NDArray[np.float64], image_shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """[..., P] -> [..., H, W]."""
    *channels, height, width = image_shape if len(image_shape) in (2, 3) else (0, 0, 0)
    if channels not in ([], [1]) or height * width != pixels.shape[-1]:
        raise ValueError(
            f"image_shape {list(image_shape)} does not fit {pixels.shape[-1]} pixels; "
            "it must be [H, W] or [1, H, W] with H * W of them"
        )
    return pixels.reshape(*pixels.shape[:-1], height, width)


def _first(limit: int, number: int) -> str:
    return f", first {limit} of {number}" if number > limit else ""


def _grid(tiles: npt.NDArray[np.float64], *, title: str) -> tuple[Figure, Axes]:
    """[rows, columns, H, W] as a grid of images in greys from 0 (white) to 1 (black); a tile of NaN stays empty.

    Values beyond [0, 1] stretch the greys to the range that is there, and a colour bar says so. The axes' unit is the
    figure's pixel.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows, columns, height, width = tiles.shape
    scale = _scale(tiles)
    low, high = min(0.0, float(np.nanmin(tiles))), max(1.0, float(np.nanmax(tiles)))

    figure = Figure()
    figure.set_layout_engine("none")
    ax = figure.add_subplot()
    for row, column in np.argwhere(~np.isnan(tiles[:, :, 0, 0])):
        left, top = column * (scale * width + GAP), row * (scale * height + GAP)
        box = (left, left + scale * width, top + scale * height, top)
        image = ax.imshow(
            tiles[row, column], cmap="Greys", vmin=low, vmax=high, interpolation="nearest", extent=box, zorder=2
        )
        corner = (left - GAP, top - GAP)
        ax.add_patch(Rectangle(corner, scale * width + 2 * GAP, scale * height + 2 * GAP, color=HAIRLINE, linewidth=0))
    ax.set(xlim=(-GAP, columns * (scale * width + GAP)), ylim=(rows * (scale * height + GAP), -GAP), aspect="auto")
    if (low, high) != (0.0, 1.0):
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
    return max(1, round(TILE / int(max(tiles.shape[2:]))))


def _centres(number: int, size: int) -> list[float]:
    return [index * (size + GAP) + size / 2 for index in range(number)]


def _label_rows(ax: Axes, tiles: npt.NDArray[np.float64], labels: Sequence[str]) -> None:
    ax.set_yticks(_centres(len(labels), _scale(tiles) * tiles.shape[2]), labels)


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


def _lines(data: npt.NDArray[np.float64], means: npt.NDArray[np.float64]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    number, size = min(NUM_LINES, len(data)), data.shape[1]
    marker = "o" if size <= NUM_LINES * NUM_COLUMNS else ""
    figure = Figure(figsize=(WIDTH, 1.0 + 1.1 * number))
    panels = figure.subplots(number, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for index, ax in enumerate(panels):
        ax.plot(data[index], color=QUIET, marker=marker, label="data")
        ax.plot(means[index], color=COLOURS[0], marker=marker, markersize=3, label="reconstruction")
        ax.set_ylabel(f"datum {index}")
    panels[0].set_title(f"Data and their reconstructions{_first(NUM_LINES, len(data))}")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    panels[-1].set_xlabel("component of x")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
