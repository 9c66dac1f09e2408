"""Many runs in one figure: their mean along training, and one standard error either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import COLOURS, WIDTH, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = ("-", "--", ":", "-.")
_LEGEND_COLUMN = 46
"""Characters of a legend's line that fit beside one another."""

Numbers = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class Band:
    """The mean over runs at each step, and one standard error either side.

    Args:
        step: `[N]`.
        mean: `[N]`.
        error: `[N]`; NaN where there is one run.
    """

    step: Numbers
    mean: Numbers
    error: Numbers


def band(histories: Sequence[Sequence[tuple[int, float]]]) -> Band:
    """Returns mean and standard error over the steps that every history has.

    Raises:
        ValueError: if there are none.
    """
    tables = [dict(history) for history in histories]
    steps = sorted(set.intersection(*[set(table) for table in tables])) if tables else []
    if not steps:
        raise ValueError("histories: expected a step in common, got none")
    values = np.array([[table[step] for step in steps] for table in tables], dtype=np.float64)
    number = len(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(number) if number > 1 else np.full(len(steps), np.nan)
    return Band(np.array(steps, dtype=np.float64), values.mean(axis=0), error)


@styled
def banded_curves(bands: Mapping[str, Band], *, quantity: str, logarithmic: bool = False) -> Figure:
    """A line for each name and its band, in the order given."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 3.6 + 0.16 * len(bands)))
    ax = figure.subplots()
    for position, (name, shown) in enumerate(bands.items()):
        colour, dashes = COLOURS[position % len(COLOURS)], _DASHES[position // len(COLOURS) % len(_DASHES)]
        ax.plot(shown.step, shown.mean, color=colour, linestyle=dashes, label=name)
        low, high = shown.mean - shown.error, shown.mean + shown.error
        ax.fill_between(shown.step, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.set(xlabel="step", ylabel=quantity)
    values = np.concatenate([shown.mean[np.isfinite(shown.mean)] for shown in bands.values()])
    if logarithmic and (values > 0.0).any():
        ax.set_yscale("log")
    elif not logarithmic:
        _without_the_climb(ax, values)
    ax.set_title(f"{quantity}: mean and standard error over runs")
    longest = max(map(len, bands))
    figure.legend(loc="outside lower center", ncols=max(1, min(3, _LEGEND_COLUMN * 2 // (longest + 8))))
    return figure


def _without_the_climb(ax: Axes, values: Numbers) -> None:
    # The first steps climb far and hide what the last ones differ by: the axis shows all but the first tenth of values.
    low, high = np.quantile(values, 0.1), values.max()
    margin = 0.05 * (high - low) or max(1.0, 1e-3 * abs(high))
    ax.set_ylim(low - margin, high + margin)
