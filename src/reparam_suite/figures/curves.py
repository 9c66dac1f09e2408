"""What training did, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import COLOURS, WIDTH, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = npt.NDArray[np.float64]

DENSE = 100
"""More points than this are drawn pale, under their running mean."""


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
    two = steps.min() < half

    figure = Figure(figsize=(WIDTH, 3.4))
    panels = figure.subplots(1, 2 if two else 1, squeeze=False)[0]
    for ax, shown in zip(panels, (curves, late), strict=False):
        for colour, (name, points) in zip(_colours(curves), shown.items(), strict=True):
            _curve(ax, points, name, colour)
        ax.set_xlabel("step")
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
    standard error of the logarithm, variance * exp(+-error / variance). What a logarithmic axis cannot show,
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
    panels[0].set_title("Variance of the gradient during training")
    panels[0].set_ylabel("trace of the covariance (nats²)")
    panels[0].legend(title="band: one standard error", alignment="left", title_fontsize=8)
    for name, points in ratios.items():
        _log_curve(panels[1], points, name, colours[name])
    if ratios:
        panels[1].set_ylabel("signal-to-noise ratio")
    panels[-1].set_xlabel("step")
    return figure


def _points(name: str, history: Sequence[tuple[float, ...]], width: int) -> Points:
    points = np.asarray(history, dtype=np.float64).reshape(len(history), -1)
    if len(points) and points.shape[1] != width:
        raise ValueError(f"the history of {name} has points of {points.shape[1]} numbers; it must have {width}")
    return points.reshape(-1, width)


def _need_some(curves: Mapping[str, Points], argument: str) -> None:
    if not any(len(points) for points in curves.values()):
        raise ValueError(f"{argument} holds no point to draw")


def _colours(curves: Sequence[str] | Mapping[str, Points]) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(curves))]


def _curve(ax: Axes, points: Points, name: str, colour: str) -> None:
    """The points as a line, marked where they are few, pale under their running mean where they are many."""
    step, value = points[:, 0], points[:, 1]
    gaps = np.count_nonzero(~np.isfinite(value))
    label = f"{name} ({gaps} of {len(value)} not finite)" if gaps else name
    if len(points) <= DENSE or gaps:
        ax.plot(step, value, color=colour, marker="o" if len(points) <= DENSE // 4 else "", label=label)
        return
    window = len(points) // (DENSE // 4)
    ax.plot(step, value, color=colour, alpha=0.3, linewidth=0.8)
    kernel = np.full(window, 1 / window)
    mean_step, mean = np.convolve(step, kernel, "valid"), np.convolve(value, kernel, "valid")
    ax.plot(mean_step, mean, color=colour, label=f"{label}, mean of {window} points")


def _positive(points: Points) -> npt.NDArray[np.bool_]:
    shown: npt.NDArray[np.bool_] = np.isfinite(points[:, 1]) & (points[:, 1] > 0)
    return shown


def _log_curve(ax: Axes, points: Points, name: str, colour: str) -> None:
    shown = _positive(points)
    hidden = np.count_nonzero(~shown)
    label = f"{name} ({hidden} of {len(points)} zero, negative or not finite)" if hidden else name
    ax.set_yscale("log")
    ax.plot(
        points[:, 0], np.where(shown, points[:, 1], np.nan),
        color=colour, marker="o" if len(points) <= DENSE // 4 else "", label=label,
    )  # fmt: skip
