"""Use of a discrete code over the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reparam_suite.figures.style import COLOURS, INK, WIDTH, Array, finite, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def code_use(probabilities: Array) -> Figure:
    """The units or classes of q(z|x) that the data use.

    Bernoulli [N, D]: each unit's mean probability over the data with its 10th to 90th percentile, sorted by
    the mean; a unit without a range is the same for most x and carries little information. One-hot [N, D, C]: each
    latent's share of data per class, most used first, beside its perplexity exp H, from 1 (one class alone)
    to C (all alike).

    Raises:
        ValueError: on another shape, and on values outside [0, 1].
    """
    shape = ("N", "D") if probabilities.ndim == 2 else ("N", "D", "C")
    values = finite("probabilities", probabilities, *shape)
    if values.min() < 0 or values.max() > 1 + 1e-6:
        raise ValueError(
            f"probabilities: expected values in [0, 1], got values from {values.min():.3g} to {values.max():.3g}"
        )
    return _units(values) if values.ndim == 2 else _classes(values)


def _units(values: npt.NDArray[np.float64]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    num_data, num_units = values.shape
    mean = values.mean(0)
    low, high = np.percentile(values, [10, 90], axis=0)
    order = np.argsort(-mean, kind="stable")
    rank = np.arange(num_units)
    thickness = min(4.0, 0.7 * 72 * (WIDTH - 1) / num_units)

    figure = Figure(figsize=(WIDTH, 3.2))
    ax = figure.add_subplot()
    ax.vlines(
        rank,
        low[order],
        high[order],
        color=COLOURS[5],
        linewidth=thickness,
        label="10th to 90th percentile over data",
    )
    ax.plot(rank, mean[order], "o", color=COLOURS[0], markersize=max(1.5, min(5.0, thickness)), label="mean")
    ax.set(
        xlim=(-0.5 - 0.01 * num_units, num_units - 0.5 + 0.01 * num_units),
        ylim=(-0.02, 1.02),
        xlabel="unit, sorted by its mean",
        ylabel="probability of one, q(z = 1 | x)",
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set_title(f"Use of {num_units} Bernoulli units by {num_data} data")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return figure


def _classes(values: npt.NDArray[np.float64]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    num_data, num_latents, num_classes = values.shape
    use = values.mean(0)
    logs = np.log(use, where=use > 0, out=np.zeros_like(use))
    perplexity = np.exp(-(use * logs).sum(1))
    shares = -np.sort(-use, axis=1)
    latents = np.arange(num_latents)

    figure = Figure(figsize=(WIDTH, min(12.0, 1.4 + 0.2 * max(8, num_latents))))
    bars, heat = figure.subplots(1, 2, sharey=True, width_ratios=[2, 3])
    image = heat.imshow(
        shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest",
        extent=(0.5, num_classes + 0.5, num_latents - 0.5, -0.5),
    )  # fmt: skip
    heat.set_title(f"Use of {num_latents} latents of {num_classes} classes by {num_data} data")
    heat.set(xlabel="class, most used first")
    heat.grid(visible=False)
    heat.tick_params(length=0)
    heat.spines[:].set_visible(False)
    for axis in (heat.xaxis, heat.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], nbins=20))
    bar = figure.colorbar(image, ax=heat, label="share of data", pad=0.02)
    bar.outline.set_visible(False)

    bars.barh(latents, perplexity - 1, left=1, height=0.7, color=COLOURS[0])
    bars.axvline(num_classes, color=INK, linewidth=1)
    bars.set(xlim=(1, 1 + 1.05 * (num_classes - 1)), xlabel=f"perplexity (1 to {num_classes})", ylabel="latent")
    bars.set_title(f"Perplexity, mean {perplexity.mean():.2f}")
    bars.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    bars.grid(visible=False, axis="y")
    bars.tick_params(axis="y", length=0)
    return figure
