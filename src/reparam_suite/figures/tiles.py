"""Images side by side as plain pixels, for stores that show them by themselves."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import Array

TILE = 48
"""Pixels that one image takes, about."""
_GAP = 2
_PAPER = 255


def tiled(rows: Sequence[Array]) -> npt.NDArray[np.uint8]:
    """Rows of images as one picture, [H, W] in grey or [H, W, 3] in colour, of uint8.

    Each row is [N, H, W] or [N, 3, H, W] of intensities, which are held within [0, 1]; grey ones go from white at 0 to
    black at 1, as in the figures. An image pixel is a whole number of pixels.
    """
    pixels = np.stack([np.clip(np.nan_to_num(np.asarray(row, np.float64)), 0.0, 1.0) for row in rows])  # [R, N, ...]
    in_colour = pixels.ndim == 5
    shown = np.moveaxis(pixels, 2, -1) if in_colour else 1.0 - pixels
    scale = max(1, round(TILE / max(shown.shape[2:4])))
    large = np.rint(shown * 255).astype(np.uint8).repeat(scale, axis=2).repeat(scale, axis=3)
    num_rows, number, height, width = large.shape[:4]
    size = (num_rows * (height + _GAP) + _GAP, number * (width + _GAP) + _GAP)
    picture = np.full((*size, 3) if in_colour else size, _PAPER, np.uint8)
    for row in range(num_rows):
        for column in range(number):
            top, left = _GAP + row * (height + _GAP), _GAP + column * (width + _GAP)
            picture[top : top + height, left : left + width] = large[row, column]
    return picture
