"""Where q places the data, in two latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from torch import Tensor

from reparam_suite.distributions import probabilities
from reparam_suite.figures.latent_maps import Pair, pair_of
from reparam_suite.figures.of_models import evaluated
from reparam_suite.figures.style import COLOURS, QUIET, Array, finite, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reparam_suite.models import VAE

MOST_LABELS = 20
"""Different labels that are shown."""


@styled
def encodings(model: VAE, x: Tensor, *, labels: Array | None = None, latents: Pair | None = None) -> Figure:
    """The means of q(z|x) in two latents, each a point or its label; rings at one and two prior standard deviations.

    Args:
        model: with `encode` and `prior`.
        x: `[N, *datum]`.
        labels: whole numbers, `[N]`, of at most 20 values.
        latents: the two, the horizontal one first; by default those of the largest KL over x, by number.

    Raises:
        ValueError: if labels do not fit, there are no two normal latents, or a value is not finite.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    named = None if labels is None else _checked(labels, len(x))
    with evaluated(model, 0) as device:
        q, p = model.encode(x.to(device)), model.prior()
        pair = pair_of(q, p, latents)
        if probabilities(q) is not None:
            raise ValueError(f"latents: expected normal ones, got discrete ones of event shape {list(q.event_shape)}")
        points = finite("means", q.mean[:, list(pair)], "N", "2")
        centre, scale = (finite("prior", values[list(pair)], "2") for values in (p.mean, p.stddev))
    figure = Figure(figsize=(5.0, 5.2))
    ax = figure.add_subplot()
    for width in (1, 2):
        ring = Ellipse((centre[0], centre[1]), *(2 * width * scale), fill=False, edgecolor=QUIET, linewidth=0.8)
        ax.add_patch(ring)
    if named is None:
        ax.plot(*points.T, "o", color=COLOURS[0], markersize=3.5)
    else:
        for place, label in enumerate(np.unique(named)):
            colour = COLOURS[place % len(COLOURS)]
            across, up = points[named == label].T
            ax.scatter(across, up, marker=f"${label}$", color=colour, s=36, linewidths=0.3)
    ax.update_datalim(np.stack([centre - 2.2 * scale, centre + 2.2 * scale]))
    ax.autoscale_view()
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(xlabel=f"z{pair[0]}", ylabel=f"z{pair[1]}")
    of = "" if named is None else ", by label"
    ax.set_title(f"Means of q(z|x) for {len(points)} data{of}\nrings at one and two standard deviations of the prior")
    return figure


def _checked(labels: Array, number: int) -> npt.NDArray[np.int64]:
    values = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if values.shape != (number,) or values.dtype.kind not in "iub":
        raise ValueError(f"labels: expected whole numbers [{number}], got {values.dtype} {list(values.shape)}")
    if (count := len(np.unique(values))) > MOST_LABELS:
        raise ValueError(f"labels: expected at most {MOST_LABELS} different ones, got {count}")
    return values.astype(np.int64)
