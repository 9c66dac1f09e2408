"""The style of all figures, and the check of their arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")
Array: TypeAlias = Tensor | npt.NDArray[Any]

# Okabe & Ito's palette, safe under the common colour-blindnesses, without their yellow, too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#333333"
QUIET = "#8c8c8c"
HAIRLINE = "#d9d9d9"
WIDTH = 7.5
"""Inches; at 120 dpi the 900 pixels of a README's column."""

STYLE: Mapping[str, Any] = {
    "figure.dpi": 120,
    "savefig.dpi": "figure",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let `draw` make its figure under STYLE, and leave matplotlib's settings as they were."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        settings: Any = dict(STYLE)  # matplotlib's stubs want each key as a literal
        with mpl.rc_context(settings):
            figure = draw(*args, **kwargs)
            _lay_out(figure)
        return figure

    return drawn


def _lay_out(figure: Figure) -> None:
    # Everything is put in its place here, under the style: ticks read the settings when first drawn, not when made. A
    # figure that still had a layout engine would be drawn twice whenever it is saved.
    import matplotlib as mpl
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if isinstance(engine := figure.get_layout_engine(), ConstrainedLayoutEngine):
        engine.execute(figure)
    else:
        figure.draw_without_rendering()
    with mpl.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)


def finite(name: str, values: Array, *shape: str) -> npt.NDArray[np.float64]:
    """`values` as a float64 array on the CPU with one axis per name in `shape`.

    Raises:
        ValueError: on another number of axes, on an empty array, and on values that are not finite.
    """
    tensor = values.detach().double().cpu() if isinstance(values, Tensor) else values
    array = np.asarray(tensor, dtype=np.float64)
    if array.ndim != len(shape) or array.size == 0:
        raise ValueError(f"{name}: expected the shape [{', '.join(shape)}] and not empty, got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite values, got {np.count_nonzero(~np.isfinite(array))} that are not")
    return array
