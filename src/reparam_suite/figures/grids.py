"""Images side by side on the axes of a figure; an image pixel is a whole number of figure pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import COLOURS, HAIRLINE, Array, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILE = 48
"""Figure pixels that one image takes, about."""
GAP = 4
_SHAPES = "[H, W], [1, H, W] or [3, H, W]"
_PAPER = 255

Tiles = npt.NDArray[np.float64]
"""Rows of images, [rows, columns, H, W] in grey or [rows, columns, 3, H, W] in colour."""


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


def flattened(name: str, values: Array, *axes: str) -> npt.NDArray[np.float64]:
    """[*axes, *event] as float64 [*axes, P]; what is not finite is refused by name."""
    shape, number = tuple(values.shape), len(axes)
    flat = values if len(shape) <= number + 1 else values.reshape(*shape[:number], math.prod(shape[number:]))
    return finite(name, flat, *axes, "P")


def as_images(pixels: npt.NDArray[np.float64], image_shape: Sequence[int]) -> npt.NDArray[np.float64]:
    """[..., P] as [..., H, W], or as [..., 3, H, W] in colour.

    Raises:
        ValueError: if `image_shape` is no shape of images of P numbers.
    """
    shape = shown_shape(image_shape) if len(image_shape) > 1 else None
    if shape is None or math.prod(shape) != pixels.shape[-1]:
        raise ValueError(
            f"image_shape: expected {_SHAPES} with {pixels.shape[-1]} numbers in all, got {list(image_shape)}"
        )
    return pixels.reshape(*pixels.shape[:-1], *shape)


def grid(tiles: Tiles, *, title: str) -> tuple[Figure, Axes]:
    """Images in greys from 0 (white) to 1 (black), or in colour; a tile of NaN stays empty.

    Values beyond [0, 1] stretch the greys to the range that is there, and a colour bar says so; of colours the title
    does. The axes' unit is the figure's pixel, the first image's upper left corner their origin.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    low, high = min(0.0, float(np.nanmin(tiles))), max(1.0, float(np.nanmax(tiles)))
    in_colour = tiles.ndim == 5
    picture = _picture(tiles, low, high)
    height, width = picture.shape[:2]
    figure = Figure()
    figure.set_layout_engine("none")
    ax = figure.add_subplot()
    ax.imshow(picture, interpolation="nearest", extent=(-GAP, width - GAP, height - GAP, -GAP), aspect="auto")
    if (low, high) != (0.0, 1.0) and in_colour:
        title = f"{title}; colours from {low:.3g} to {high:.3g}"
    elif (low, high) != (0.0, 1.0):
        greys = ScalarMappable(Normalize(low, high), "Greys")
        bar = figure.colorbar(greys, cax=ax.inset_axes((1.02, 0, 0.02, 1)), label="pixel value")
        bar.outline.set_visible(False)
    ax.set_title(title)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xticks=[], yticks=[])
    return figure, ax


def label_rows(ax: Axes, tiles: Tiles, labels: Sequence[str]) -> None:
    """Labels at the left of the rows."""
    ax.set_yticks(_centres(len(labels), _scale(tiles) * tiles.shape[-2]), labels)


def label_columns(ax: Axes, tiles: Tiles, labels: Sequence[str]) -> None:
    """Labels below the columns."""
    ax.set_xticks(_centres(len(labels), _scale(tiles) * tiles.shape[-1]), labels)


def mark(ax: Axes, tiles: Tiles, row: int, column: int) -> None:
    """A coloured frame around one image."""
    from matplotlib.patches import Rectangle

    height, width = (_scale(tiles) * size for size in tiles.shape[-2:])
    corner = (column * (width + GAP) - GAP / 2, row * (height + GAP) - GAP / 2)
    ax.add_patch(Rectangle(corner, width + GAP, height + GAP, fill=False, edgecolor=COLOURS[1], linewidth=GAP / 2))


def fit(figure: Figure, ax: Axes) -> None:
    """Sizes the figure around its texts so that each image pixel takes the same whole number of figure pixels.

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


def _picture(tiles: Tiles, low: float, high: float) -> npt.NDArray[np.uint8]:
    # [H, W, 3]: the tiles as they come out, each in a frame; one image is drawn many times faster than one a tile.
    import matplotlib as mpl

    scale, (rows, columns) = _scale(tiles), tiles.shape[:2]
    present = ~np.isnan(tiles.reshape(rows, columns, -1)[..., 0])
    shown = (tiles[present] - low) / (high - low)  # [N, H, W] or [N, 3, H, W]
    if tiles.ndim == 5:
        pixels = np.rint(shown * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    else:
        pixels = mpl.colormaps["Greys"](shown, bytes=True)[..., :3]
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = pixels.shape[1:3]
    canvas = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), _PAPER, np.uint8)
    frame = [int(HAIRLINE[place : place + 2], 16) for place in (1, 3, 5)]
    corners = [(row * (height + GAP), column * (width + GAP)) for row, column in np.argwhere(present)]
    for top, left in corners:
        canvas[top : top + height + 2 * GAP, left : left + width + 2 * GAP] = frame
    for (top, left), tile in zip(corners, pixels, strict=True):
        canvas[top + GAP : top + GAP + height, left + GAP : left + GAP + width] = tile
    return canvas


def _scale(tiles: Tiles) -> int:
    return max(1, round(TILE / int(max(tiles.shape[-2:]))))


def _centres(number: int, size: int) -> list[float]:
    return [index * (size + GAP) + size / 2 for index in range(number)]
