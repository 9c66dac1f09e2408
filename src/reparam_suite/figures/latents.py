"""Use of the latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reparam_suite.figures.style import COLOURS, QUIET, WIDTH, Array, finite, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def latent_use(kl_per_latent: Array, aggregate_kl: Array) -> Figure:
    """The KL of every latent, in nats, the largest first: information about x on the KL of the aggregate posterior.

    Args:
        kl_per_latent: E_x KL(q(z_d|x) || p(z_d)), `[D]`.
        aggregate_kl: KL(q(z_d) || p(z_d)) of the aggregate posterior, `[D]`: the part that shows
            the data from the prior and not one datum from another.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    total = finite("kl_per_latent", kl_per_latent, "D")
    aggregate = finite("aggregate_kl", aggregate_kl, "D").clip(0.0, np.maximum(total, 0.0))
    order = np.argsort(-total, kind="stable")
    rank = np.arange(1, len(total) + 1)
    figure = Figure(figsize=(WIDTH, 3.2))
    ax = figure.add_subplot()
    width = 0.8 if len(total) <= 60 else 1.0
    ax.bar(rank, aggregate[order], width, color=QUIET, label="aggregate posterior against prior")
    information = (total - aggregate)[order]
    ax.bar(rank, information, width, bottom=aggregate[order], color=COLOURS[0], label="information about x")
    ax.set(xlabel="latent, sorted by its KL", ylabel="KL from the prior (nats)", xlim=(0.4, len(total) + 0.6))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.grid(visible=False, axis="x")
    ax.set_title(f"Use of {len(total)} latents, {total.sum():.1f} nats in all")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return figure
