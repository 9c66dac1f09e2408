"""Bounds in bits per dimension, for images of levels."""

import math
from typing import Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution, constraints

Support = constraints.Constraint | None


@runtime_checkable
class ImageData(Protocol):
    """Data, as far as they are asked."""

    @property
    def kind(self) -> str | None:
        """The kind of the values: "grey" and "colour" are intensities in [0, 1]."""

    @property
    def levels(self) -> int | None:
        """The level that stands for intensity 1, 255 in 8-bit images."""


def support_of_data(p: Distribution) -> Support:
    """The values of p(x|z), those of one element where elements are independent; None if p does not say."""
    try:
        support: Support = p.support
    except NotImplementedError:
        return None
    while (base := getattr(support, "base_constraint", None)) is not None:
        support = base
    return support


def bits_per_dim(elbo: Tensor, *, support: Support, event_shape: tuple[int, ...], data: ImageData) -> Tensor | None:
    """The negative bound on the log-probability of an image, in bits for each of its numbers, `[]`.

    - elbo / (P log 2)                    p(x|z) gives probabilities of levels
    - elbo / (P log 2) + log2(levels)     p(x|z) is a density of intensities

    for P numbers in an image. A density is counted as the probability of a level by the distance of levels, 1 / levels;
    that is an approximation, and none where the scale of p(x|z) is smaller than that distance.

    Args:
        elbo: in nats, `[]`.
        support: of p(x|z), see `support_of_data`.
        event_shape: of an image.
        data: of which kind the images are, and with how many levels.

    Returns:
        None where it means nothing: for data that are no images of levels, and for a p(x|z) of 0 and 1 that is given
        intensities, whose values are no probabilities of them.
    """
    levels = data.levels if data.kind in ("grey", "colour") else None
    if levels is None or support is None or isinstance(support, type(constraints.boolean)):
        return None
    spacing = 0.0 if support.is_discrete else math.log2(levels)
    return spacing - elbo / (math.prod(event_shape) * math.log(2.0))
