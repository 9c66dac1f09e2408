"""Maps of two latents: what a VAE's decoder makes of their values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import inverse_cdf, probabilities
from reparam_suite.figures.grids import (
    Tiles,
    as_images,
    fit,
    flattened,
    grid,
    label_columns,
    label_rows,
    mark,
    shown_shape,
)
from reparam_suite.figures.images import signed
from reparam_suite.figures.of_models import evaluated
from reparam_suite.figures.style import styled
from reparam_suite.runtime import checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reparam_suite.models import VAE

Pair = tuple[int, int]

MOST_CLASSES = 12
_FEW_VALUES = 3  # of a latent: all pairs of them stand in one row
_NUM_DATA = 6


def most_used(q: Distribution, p: Distribution) -> Pair | None:
    """The two latents of the largest KL(q(z_d|x) || p(z_d)) over a batch, the larger first.

    None where there are fewer than two, or where they are not normal, bits or classes with a prior of their family.
    """
    from reparam_suite.diagnostics import kl_per_latent  # torchmetrics, and pyplot with it

    kl = kl_per_latent(q, p)
    if kl is None or len(kl) < 2:
        return None
    first, second = kl.argsort(descending=True)[:2].tolist()
    return first, second


def pair_of(q: Distribution, p: Distribution, latents: Pair | None) -> Pair:
    """The two latents that were named, or those that are used most in the order of their numbers.

    Raises:
        ValueError: if there are no such two.
    """
    found = most_used(q, p)
    if found is None:
        raise ValueError(
            "latents: expected two or more that are normal, bits or classes, with a prior of the same family, "
            f"got q of event shape {list(q.event_shape)}, {type(q).__name__}, and p, {type(p).__name__}"
        )
    if latents is None:
        return min(found), max(found)
    if len(set(latents)) != 2 or not all(0 <= latent < q.event_shape[0] for latent in latents):
        raise ValueError(f"latents: expected two numbers from 0 to {q.event_shape[0] - 1}, got {latents}")
    return latents


def latent_map(
    model: VAE,
    x: Tensor,
    *,
    latents: Pair | None = None,
    num_values: int = 12,
    image_shape: Sequence[int] | None = None,
) -> Figure:
    """E[x|z] over the values of two latents.

    Normal latents take the prior's quantiles (k + 1/2) / num_values, the others its median. Bits and classes take all
    their values, of more than 12 classes those that q uses most, while the other latents have the values that are most
    probable given a datum: in a row for each of the first data where there are two or three values, else in a map for
    the first datum. The most probable values of the two themselves are framed.

    Args:
        model: with `encode`, `decode` and `prior`.
        x: `[N, *event]`, images.
        latents: the two, the one from left to right first; by default those of the largest KL over x, by number.
        num_values: of each normal latent.
        image_shape: to show vectors in, where it is known.

    Raises:
        TypeError: if `num_values` is no integer.
        ValueError: if it is below 1, the data are no images, there are no two latents that are normal, bits or classes,
            or a value is not finite.
    """
    num_values = checks.integer("num_values", num_values, least=1)
    shape = shown_shape(x.shape[1:]) if image_shape is None else image_shape
    if shape is None:
        raise ValueError(f"x: expected images, got shape {list(x.shape)}")
    with evaluated(model, 0) as device:
        shown = x.to(device)
        q, p = model.encode(shown), model.prior()
        pair = pair_of(q, p, latents)
        found = probabilities(q)
        if found is None:
            z = _quantiles(p, pair, num_values)
        else:
            states = _States(found, pair)
            z = states.combined()
        images = model.decode(z).mean.cpu()
    if found is None:
        tiles = as_images(flattened("images", images, "R", "C"), shape)
        return _over_quantiles(tiles, z.cpu(), pair)
    return states.drawn(shown.cpu(), images, shape)


def _quantiles(p: Distribution, pair: Pair, number: int) -> Tensor:
    # [S, S, D]: the first latent grows to the right, the second upwards.
    like = p.mean
    levels = (torch.arange(number, device=like.device, dtype=like.dtype) + 0.5) / number
    u = torch.full((number, number, *like.shape), 0.5, device=like.device, dtype=like.dtype)
    u[..., pair[0]] = levels
    u[..., pair[1]] = levels.flip(0)[:, None]
    z = inverse_cdf(p, u)
    assert z is not None  # of a normal
    return z


class _States:
    """The values of two discrete latents that are shown, and the codes of the data whose other latents are kept.

    Args:
        found: probabilities of bits `[N, D]` or of classes `[N, D, C]`.
        pair: the latents.
    """

    def __init__(self, found: Tensor, pair: Pair) -> None:
        self._pair = pair
        self._are_bits = found.dim() == 2
        of_classes = torch.stack([1.0 - found, found], -1) if self._are_bits else found  # [N, D, C]
        number = min(MOST_CLASSES, of_classes.shape[-1])
        use = of_classes.mean(0)
        self._chosen = [sorted(use[latent].topk(number).indices.tolist()) for latent in pair]
        self._are_rows = number <= _FEW_VALUES
        self._codes = of_classes[: _NUM_DATA if self._are_rows else 1].argmax(-1)  # [N, D], numbers of classes
        self._values = torch.eye(of_classes.shape[-1], device=found.device, dtype=found.dtype)  # of every class
        if self._are_bits:
            self._values = self._values[:, 1]

    def combined(self) -> Tensor:
        """[N, V, V, *event]: the first latent's values to the right and the second's downwards."""
        first, second = (self._values[chosen] for chosen in self._chosen)
        kept = self._values[self._codes][:, None, None]
        z = kept.expand(len(kept), len(second), len(first), *kept.shape[3:]).clone()
        z[:, :, :, self._pair[0]] = first
        z[:, :, :, self._pair[1]] = second[:, None]
        return z

    def drawn(self, x: Tensor, images: Tensor, image_shape: Sequence[int]) -> Figure:
        """Data x `[N, *event]` and what is decoded for them, `[N, V, V, *event]`."""
        first, second = self._pair
        pixels = flattened("images", images, "N", "V", "V")
        if not self._are_rows:
            tiles = as_images(pixels[0], image_shape)
            columns, rows = ([str(value) for value in chosen] for chosen in self._chosen)
            place = self._places()[0]
            return _drawn(
                tiles,
                title=f"E[x|z] over the classes of z{first} and z{second},\nthe others as q has them for one datum",
                columns=columns,
                rows=rows,
                axes=(f"class of z{first}", f"class of z{second}"),
                framed=[] if place is None else [place],
            )
        number = pixels.shape[1]
        data = flattened("x", x[: len(pixels)], "N")[:, None]
        tiles = as_images(np.concatenate([data, pixels.reshape(len(pixels), number**2, -1)], axis=1), image_shape)
        return _drawn(
            tiles,
            title=f"E[x|z] over z{first} and z{second},\nthe others as q has them",
            columns=["data", *(f"{one} {other}" for other, one in product(range(number), repeat=2))],
            rows=None,
            axes=(f"z{first} and z{second}", ""),
            framed=[
                (row, 1 + place[0] * number + place[1]) for row, place in enumerate(self._places()) if place is not None
            ],
        )

    def _places(self) -> list[Pair | None]:
        # Row and column of each datum's own values, where they are shown.
        (rights, belows), own = self._chosen, self._codes[:, list(self._pair)].tolist()
        return [
            (belows.index(second), rights.index(first)) if first in rights and second in belows else None
            for first, second in own
        ]


def _over_quantiles(tiles: Tiles, z: Tensor, pair: Pair) -> Figure:
    columns, rows = z[0, :, pair[0]].tolist(), z[:, 0, pair[1]].tolist()
    others = ", the others at its median" if z.shape[-1] > 2 else ""
    return _drawn(
        tiles,
        title=f"E[x|z] at the prior's quantiles of z{pair[0]} and z{pair[1]}{others}",
        columns=[signed(value) for value in columns],
        rows=[signed(value) for value in rows],
        axes=(f"z{pair[0]}", f"z{pair[1]}"),
        framed=[],
    )


@styled
def _drawn(
    tiles: Tiles,
    *,
    title: str,
    columns: Sequence[str],
    rows: Sequence[str] | None,
    axes: tuple[str, str],
    framed: Sequence[Pair],
) -> Figure:
    figure, ax = grid(tiles, title=title)
    label_columns(ax, tiles, columns)
    if rows is not None:
        label_rows(ax, tiles, rows)
    ax.set(xlabel=axes[0], ylabel=axes[1])
    for row, column in framed:
        mark(ax, tiles, row, column)
    fit(figure, ax)
    return figure
