"""Cost and variance of gradients, many estimators in one plane."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from reparam_suite.figures.style import COLOURS, HAIRLINE, INK, QUIET, WIDTH, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 0.155
"""Inches of a line of the list."""

_RADII = (10, 16, 23, 31, 40)
"""Points between a mark and its number, as near as there is room."""


@styled
def gradient_cost(
    points: Mapping[str, tuple[float, float, float]],
    *,
    biased: Collection[str] = (),
    group: str = "encoder",
    cost_of: str = "gradient",
) -> Figure:
    """The variance of the gradient against the milliseconds that one takes, both on logarithmic axes.

    A point is (milliseconds, variance in nats squared, its standard error, nan where it is not known). Along a dotted
    line the product is the same: the work-normalised variance, by which the list under the axes is numbered. Biased
    estimators are drawn hollow. Those without noise, or without a finite variance, are in the list alone.

    Raises:
        ValueError: if there is no point.
    """
    from matplotlib.figure import Figure

    if not points:
        raise ValueError("points: expected an estimator to draw, got none")
    order = sorted(points, key=lambda name: _product(points[name]))
    drawn = {number: name for number, name in enumerate(order, 1) if _visible(points[name])}

    lines = -(-len(order) // 2)
    figure = Figure(figsize=(WIDTH, 4.0 + _LINE * (lines + 1)), layout="constrained")
    ax, below = figure.subplots(2, 1, height_ratios=[4.0, _LINE * (lines + 1)])
    ax.set_title(f"Noise and cost of the gradient, {group}")
    ax.set(xlabel=f"milliseconds per {cost_of}", ylabel="variance (nats²)")
    for name in drawn.values():
        milliseconds, variance, error = points[name]
        colour, face = (COLOURS[1], "white") if name in biased else (COLOURS[0], COLOURS[0])
        ax.errorbar(
            milliseconds,
            variance,
            yerr=min(error, 0.9 * variance) if math.isfinite(error) else None,
            fmt="o",
            color=colour,
            mfc=face,
            capsize=0,
            elinewidth=1,
        )
    if drawn:
        _log_axes(ax)
        _iso_lines(ax)
    _listed(below, order, points, biased)
    figure.draw_without_rendering()  # the numbers need the final axes
    _numbered(ax, {number: points[name][:2] for number, name in drawn.items()})
    return figure


def _product(point: tuple[float, float, float]) -> float:
    product = point[0] * point[1]
    return product if math.isfinite(product) else math.inf


def _visible(point: tuple[float, float, float]) -> bool:
    return all(math.isfinite(number) and number > 0.0 for number in point[:2])


def _log_axes(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.margins(0.09)
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        if high < 100.0 * low:  # fewer than two decades: their ticks alone would be none or one
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(LogLocator(subs=()))
        if low >= 1e-3 and high < 1e5:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _iso_lines(ax: Axes) -> None:
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    first, last = math.floor(math.log10(left * low)), math.ceil(math.log10(right * high))
    x = np.geomspace(left, right, 2)
    for exponent in range(first, last + 1):
        ax.plot(x, 10.0**exponent / x, ":", color=QUIET, linewidth=0.7, zorder=0.5)
    ax.set(xlim=(left, right), ylim=(low, high))


def _listed(
    ax: Axes, order: list[str], points: Mapping[str, tuple[float, float, float]], biased: Collection[str]
) -> None:
    ax.axis("off")
    lines = -(-len(order) // 2)
    ax.set(xlim=(0, 1), ylim=(lines + 1, 0))
    ax.text(
        0, 0.5, "by variance x milliseconds, the lowest first; hollow: biased; dotted: the same product", fontsize=7.5
    )
    for index, name in enumerate(order):
        column, line = divmod(index, lines)
        note = "" if _visible(points[name]) else " (no noise)" if points[name][1] == 0.0 else " (not drawn)"
        colour = COLOURS[1] if name in biased else COLOURS[0]
        ax.text(0.5 * column + 0.025, line + 1.5, f"{index + 1}", color=colour, fontsize=7, ha="right", weight="bold")
        ax.text(0.5 * column + 0.035, line + 1.5, f"{name}{note}", fontsize=7)


def _numbered(ax: Axes, marks: Mapping[int, tuple[float, float]]) -> None:
    # Each number beside its mark, in the first place where it covers neither a mark nor another number.
    places = {number: ax.transData.transform(at) for number, at in marks.items()}
    pixels = ax.figure.dpi / 72.0
    taken = [(place, 4.5 * pixels) for place in places.values()]
    for number, place in places.items():
        offsets = [
            radius * np.array([math.cos(angle), math.sin(angle)])
            for radius in _RADII
            for angle in np.linspace(0.25 * math.pi, 2.25 * math.pi, 8, endpoint=False)
        ]
        room = [
            min(float(np.hypot(*(place + candidate * pixels - at))) - reach for at, reach in taken)
            for candidate in offsets
        ]
        free = next((candidate for candidate, left in zip(offsets, room, strict=True) if left > 4.5 * pixels), None)
        offset = offsets[int(np.argmax(room))] if free is None else free
        taken.append((place + offset * pixels, 5.0 * pixels))
        leader = {"arrowstyle": "-", "color": HAIRLINE if np.hypot(*offset) < _RADII[1] else QUIET, "linewidth": 0.6}
        ax.annotate(
            f"{number}",
            marks[number],
            xytext=tuple(offset),
            textcoords="offset points",
            fontsize=7,
            color=INK,
            ha="center",
            va="center",
            arrowprops={**leader, "shrinkA": 3, "shrinkB": 2},
        )
