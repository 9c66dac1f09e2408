"""Images on a figure, as they were drawn and as they should be."""

import matplotlib as mpl
import numpy as np
from torch import Tensor

from reparam_suite.figures.grids import GAP, TILE


def tiles(figure, *size: int) -> np.ndarray:
    """The images of height and width `size` on a figure's first axes, [rows, columns, H, W, 3] in uint8."""
    (picture,) = figure.axes[0].images
    canvas = np.asarray(picture.get_array())
    scale = max(1, round(TILE / max(size)))
    height, width = (scale * side + GAP for side in size)
    rows, columns = (canvas.shape[0] - GAP) // height, (canvas.shape[1] - GAP) // width
    assert canvas.shape == (rows * height + GAP, columns * width + GAP, 3)
    cut = canvas[GAP:, GAP:].reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return cut[:, :, : height - GAP : scale, : width - GAP : scale]


def drawn(images: Tensor | np.ndarray, *, in_colour: bool = False) -> np.ndarray:
    """Intensities [..., H, W], or [..., 3, H, W] in colour, in the bytes of red, green and blue, [..., H, W, 3]."""
    values = np.asarray(images, dtype=np.float64)
    if in_colour:
        return np.rint(np.moveaxis(values, -3, -1) * 255).astype(np.uint8)
    return mpl.colormaps["Greys"](values, bytes=True)[..., :3]
