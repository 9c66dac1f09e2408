"""Curves along training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import COLOURS, WIDTH, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = npt.NDArray[np.float64]

DENSE = 100
"""More points than this are drawn pale, under their running mean."""


class Frame(Protocol):
    """A table with columns, such as a pandas DataFrame."""

    columns: Any

    def __getitem__(self, name: str, /) -> Any:
        """Returns a column."""


@styled
def curves(
    histories: Mapping[str, Sequence[tuple[int, float]] | Frame], *, ylabel: str = "", title: str | None = None
) -> Figure:
    """Metrics against the step, one curve a history: points (step, value), or a frame with columns step and value.

    Histories of a run are in `Journal.curves`, and `Result.history` gives a frame. A value that is not finite leaves a
    gap, which the legend counts.

    Raises:
        ValueError: if there is no point to draw, or a history has another shape.
    """
    from matplotlib.figure import Figure

    shown = {name: _points(name, _pairs(history), 2) for name, history in histories.items()}
    _need_some(shown, "histories")
    figure = Figure(figsize=(WIDTH, 3.4))
    ax = figure.add_subplot()
    for colour, (name, points) in zip(_colours(shown), shown.items(), strict=True):
        _curve(ax, points, name, colour, marker=_marker(points))
    _step_axis(ax, shown.values())
    ax.set_ylabel(ylabel)
    ax.set_title(", ".join(shown) if title is None else title)
    ax.legend(loc="best")
    return figure


@styled
def training_curves(histories: Mapping[str, Sequence[tuple[int, float]]], *, quantity: str = "ELBO") -> Figure:
    """`quantity` in nats against the step, one curve a history (train, val): the whole run and its second half.

    The first steps climb hundreds of nats and hide what the last ones differ by, hence the second panel.
    A value that is not finite leaves a gap, which the legend counts.
    """
    from matplotlib.figure import Figure

    curves = {name: _points(name, history, 2) for name, history in histories.items()}
    _need_some(curves, "histories")
    steps = np.concatenate([points[:, 0] for points in curves.values()])
    half = (steps.min() + steps.max()) / 2
    late = {name: points[points[:, 0] >= half] for name, points in curves.items()}
    two = any(1 < len(points) < len(curves[name]) for name, points in late.items())

    figure = Figure(figsize=(WIDTH, 3.4))
    panels = figure.subplots(1, 2 if two else 1, squeeze=False)[0]
    for ax, shown in zip(panels, (curves, late), strict=False):
        for colour, (name, points) in zip(_colours(curves), shown.items(), strict=True):
            _curve(ax, points, name, colour, marker=_marker(curves[name]))
        _step_axis(ax, shown.values())
    panels[0].set(ylabel=f"{quantity} (nats)")
    panels[0].set_title(f"{quantity} during training")
    panels[0].legend(loc="best")
    if two:
        panels[1].set_title("the second half, on its own scale")
    return figure


@styled
def gradient_variance(
    histories: Mapping[str, Sequence[tuple[int, float, float]]],
    *,
    snr: Mapping[str, Sequence[tuple[int, float]]] | None = None,
) -> Figure:
    """Variance of the gradient against the step, one curve a group of parameters; signal-to-noise ratio below.

    A history holds (step, trace of the covariance in nats squared, its standard error). The band is one
    standard error of the logarithm, variance * exp(+-error / variance). Points that a logarithmic axis cannot show,
    the legend counts.
    """
    from matplotlib.figure import Figure

    variances = {name: _points(name, history, 3) for name, history in histories.items()}
    ratios = {name: _points(name, history, 2) for name, history in (snr or {}).items()}
    _need_some(variances, "histories")
    groups = list(variances) + [name for name in ratios if name not in variances]
    colours = dict(zip(groups, _colours(groups), strict=True))

    figure = Figure(figsize=(WIDTH, 4.8 if ratios else 3.2))
    panels = figure.subplots(
        2 if ratios else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 2] if ratios else None
    )[:, 0]
    for name, points in variances.items():
        _log_curve(panels[0], points, name, colours[name])
        step, value, error = points[_positive(points)].T
        spread = np.exp(error / value)
        panels[0].fill_between(step, value / spread, value * spread, color=colours[name], alpha=0.2, linewidth=0)
    _log_axis(panels[0], variances)
    panels[0].set_title("Variance of the gradient during training")
    panels[0].set_ylabel("trace of the covariance (nats²)")
    # Beside the curves, which may be anywhere on a logarithmic axis.
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "alignment": "left", "fontsize": 8}
    panels[0].legend(title="band: one standard error", title_fontsize=8, **beside)
    for name, points in ratios.items():
        _log_curve(panels[1], points, name, colours[name])
    if ratios:
        _log_axis(panels[1], ratios)
        panels[1].set_ylabel("signal-to-noise ratio")
        # The legend above explains the colours; here is only what could not be drawn.
        incomplete = [name for name, points in ratios.items() if not _positive(points).all()]
        lines = [line for line in panels[1].get_lines() if str(line.get_label()).startswith(tuple(incomplete))]
        if incomplete:
            panels[1].legend(handles=lines, **beside)
    _step_axis(panels[-1], [*variances.values(), *ratios.values()])
    return figure


def _pairs(history: Sequence[tuple[int, float]] | Frame) -> Sequence[tuple[int, float]]:
    columns: Any = history
    return list(zip(columns["step"], columns["value"], strict=True)) if hasattr(history, "columns") else columns


def _points(name: str, history: Sequence[tuple[float, ...]], width: int) -> Points:
    points = np.asarray(history, dtype=np.float64) if len(history) else np.empty((0, width))
    if points.shape != (len(history), width):
        raise ValueError(f"history of {name}: expected points of {width} numbers, got the shape {list(points.shape)}")
    return points


def _need_some(curves: Mapping[str, Points], argument: str) -> None:
    if not any(len(points) for points in curves.values()):
        raise ValueError(f"{argument}: expected a point to draw, got none")


def _colours(curves: Sequence[str] | Mapping[str, Points]) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(curves))]


def _marker(points: Points) -> str:
    return "o" if len(points) <= DENSE // 4 else ""


def _step_axis(ax: Axes, curves: Iterable[Points]) -> None:
    """Whole steps, all those given, whether or not something can be drawn there."""
    from matplotlib.ticker import MaxNLocator

    steps = np.concatenate([points[:, 0] for points in curves])
    margin = 0.03 * (steps.max() - steps.min()) or 0.5
    ax.set(xlabel="step", xlim=(steps.min() - margin, steps.max() + margin))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10]))


def _curve(ax: Axes, points: Points, name: str, colour: str, *, marker: str) -> None:
    """The points as a line, marked where they are few, pale under their running mean where they are many."""
    step, value = points[:, 0], points[:, 1]
    gaps = np.count_nonzero(~np.isfinite(value))
    label = f"{name} ({gaps} of {len(value)} not finite)" if gaps else name
    if len(points) <= DENSE or gaps:
        ax.plot(step, value, color=colour, marker=marker, label=label)
        return
    window = len(points) // (DENSE // 4)
    ax.plot(step, value, color=colour, alpha=0.3, linewidth=0.8)
    kernel = np.full(window, 1 / window)
    mean_step, mean = np.convolve(step, kernel, "valid"), np.convolve(value, kernel, "valid")
    ax.plot(mean_step, mean, color=colour, label=f"{label}, running mean of {window}")


def _positive(points: Points) -> npt.NDArray[np.bool_]:
    shown: npt.NDArray[np.bool_] = np.isfinite(points[:, 1]) & (points[:, 1] > 0)
    return shown


def _log_curve(ax: Axes, points: Points, name: str, colour: str) -> None:
    step, value = points[:, 0], points[:, 1]
    hidden = {"zero": value == 0, "negative": np.isfinite(value) & (value < 0), "not finite": ~np.isfinite(value)}
    counts = [f"{why} at {np.count_nonzero(where)}" for why, where in hidden.items() if where.any()]
    label = f"{name} ({', '.join(counts)} of {len(points)} points)" if counts else name
    shown = np.where(_positive(points), value, np.nan)
    ax.plot(step, shown, color=colour, marker=_marker(points), label=label)


def _log_axis(ax: Axes, curves: Mapping[str, Points]) -> None:
    """A decade or more, so that noise about a constant looks like one, with ticks in plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if not any(_positive(points).any() for points in curves.values()):
        ax.set_yticks([])
        return
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    middle, reach = np.sqrt(low * high), max(np.sqrt(high / low), np.sqrt(10))
    ax.set_ylim(middle / reach, middle * reach)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if reach < 10 else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    digit = round(value / 10.0**exponent)
    return rf"$10^{{{exponent}}}$" if digit == 1 else rf"${digit} \times 10^{{{exponent}}}$"
