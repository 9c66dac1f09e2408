"""The variance of a gradient, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import COLOURS, QUIET, WIDTH, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Variances = npt.NDArray[np.float64]

BINS_PER_DECADE = 5

ROUNDING = 1e-12
"""A variance below this share of the largest one is a rounding error of float32: the element has none."""


@styled
def element_variances(variances: Mapping[str, Mapping[str, Variances]]) -> Figure:
    """Histograms of log10 of the variance of single elements: a panel a group, a histogram a time.

    Heights are shares of the group's elements, so that those which a logarithm cannot show, and the legend counts, are
    missing from the area. Dotted lines are medians of what is shown.

    Args:
        variances: by time ("step 1") and group ("encoder"), arrays of any shape in nats squared. Rounding can bring the
            variance of what does not vary below 0.

    Raises:
        ValueError: if there is no group to draw.
    """
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(group for groups in variances.values() for group in groups))
    if not groups:
        raise ValueError("variances: expected a group to draw, got none")
    num_columns = min(2, len(groups))
    num_rows = -(-len(groups) // num_columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 2.2 * num_rows))
    panels = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    by_group = {
        group: {time: np.asarray(of[group], np.float64).ravel() for time, of in variances.items() if group in of}
        for group in groups
    }
    finite = [values[np.isfinite(values)] for by_time in by_group.values() for values in by_time.values()]
    least = ROUNDING * max(0.0, *(values.max(initial=0.0) for values in finite))
    for ax, (group, by_time) in zip(panels, by_group.items(), strict=False):
        _histograms(ax, group, by_time, least)
    for ax in panels[len(groups) :]:
        ax.set_axis_off()
    figure.suptitle("Variance of the gradient, element by element", x=0.01, ha="left", fontsize=10)
    for ax in panels[max(0, len(groups) - num_columns) : len(groups)]:
        ax.set_xlabel("log10 of the variance (nats²)")
    for ax in panels[::num_columns][:num_rows]:
        ax.set_ylabel("share of the elements")
    return figure


def _histograms(ax: Axes, group: str, by_time: Mapping[str, Variances], least: float) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    logs = {time: np.log10(values[np.isfinite(values) & (values > least)]) for time, values in by_time.items()}
    shown = np.concatenate(list(logs.values()))
    low, high = (np.floor(shown.min()), np.ceil(shown.max())) if len(shown) else (-1.0, 0.0)
    high = max(low + 1.0, high)
    edges = np.linspace(low, high, round(BINS_PER_DECADE * (high - low)) + 1).tolist()
    for colour, (time, values) in zip((QUIET, COLOURS[0], *COLOURS[1:]), logs.items(), strict=False):
        size = by_time[time].size
        broken = np.count_nonzero(~np.isfinite(by_time[time]))
        counts = {"without variance": size - len(values) - broken, "not finite": broken}
        named = [f"{count:,} of {size:,} {what}" for what, count in counts.items() if count]
        label = f"{time} ({', '.join(named)})" if named else time
        weights = np.full(len(values), 1.0 / size)
        ax.hist(values, edges, weights=weights, histtype="stepfilled", color=colour, alpha=0.25)
        ax.hist(values, edges, weights=weights, histtype="step", color=colour, linewidth=1.2, label=label)
        if len(values):
            ax.axvline(float(np.median(values)), color=colour, linestyle=":", linewidth=1.2)
    sizes = {values.size for values in by_time.values()}
    ax.set_title(f"{group}, {max(sizes):,} elements", pad=22 + 12 * (len(by_time) - 1))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8, borderaxespad=0.2)
    if not len(shown):
        ax.set(xticks=[], yticks=[])
        return
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
