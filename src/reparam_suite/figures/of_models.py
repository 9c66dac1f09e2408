"""Figures of a VAE: what it makes of data, and what it makes of its prior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reparam_suite.distributions import mean_of
from reparam_suite.figures.grids import shown_shape
from reparam_suite.figures.images import interpolation_grid, reconstruction_grid, sample_grid
from reparam_suite.runtime import checks
from reparam_suite.runtime.random_streams import forked_generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reparam_suite.models import VAE


def reconstructions(model: VAE, x: Tensor, *, image_shape: Sequence[int] | None = None, seed: int = 0) -> Figure:
    """Data above E[x|z], from q's mean, or from a sample of q where it has none, which the title says.

    The first 16 data as images: of event shape [H, W], [1, H, W] or [3, H, W], or vectors whose length is a square. The
    first 4 as lines otherwise. The model is used in eval mode; no generator moves.

    Args:
        model: with `encode` and `reconstruct`.
        x: `[N, *event]`.
        image_shape: to show vectors in, where it is known.
        seed: of the sample.

    Raises:
        ValueError: if `image_shape` does not fit, or a value is not finite.
    """
    with evaluated(model, seed) as device:
        shown = x.to(device)
        means = model.reconstruct(shown)
        origin = "a sample of q" if mean_of(model.encode(shown[:1])) is None else "q's mean"
    shape = shown_shape(x.shape[1:]) if image_shape is None else image_shape
    title = f"Data and their reconstructions, E[x|z] at {origin}"
    return reconstruction_grid(x, means, image_shape=shape, title=title)


def samples(model: VAE, n: int, *, image_shape: Sequence[int] | None = None, seed: int = 0) -> Figure:
    """E[x|z] for n draws of z from the prior, shown as by `reconstructions`.

    Args:
        model: with `sample`.
        n: number of draws.
        image_shape: to show vectors in, where it is known.
        seed: of the draws; the same seed shows models of one kind at the same noise.

    Raises:
        TypeError: if n is no integer.
        ValueError: if n is below 1, `image_shape` does not fit, or a value is not finite.
    """
    n = checks.integer("n", n, least=1)
    with evaluated(model, seed):
        means = model.sample(n)
    shape = shown_shape(means.shape[1:]) if image_shape is None else image_shape
    title = "E[x|z] at one sample of the prior" if n == 1 else f"E[x|z] at {n} samples of the prior"
    return sample_grid(means, image_shape=shape, title=title)


def interpolations(
    model: VAE, x: Tensor, *, num_pairs: int = 6, num_steps: int = 9, image_shape: Sequence[int] | None = None
) -> Figure:
    """Pairs of data, and between them E[x|z] on the straight line from one mean of q to the other.

    Args:
        model: with `encode` and `decode`, and a q that has a mean.
        x: `[N, *event]`, images; the first and the second are a pair, and so on.
        num_pairs: at most so many.
        num_steps: images between the two, those of the means themselves among them.
        image_shape: to show vectors in, where it is known.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if it is too small, there are fewer than two data, they are no images, or a value is not finite.
    """
    num_pairs = checks.integer("num_pairs", num_pairs, least=1)
    num_steps = checks.integer("num_steps", num_steps, least=2)
    shape = shown_shape(x.shape[1:]) if image_shape is None else image_shape
    if len(x) < 2 or shape is None:
        raise ValueError(f"x: expected two images or more, got shape {list(x.shape)}")
    pairs = min(num_pairs, len(x) // 2)
    with evaluated(model, 0) as device:
        shown = x[: 2 * pairs].to(device)
        mean = model.encode(shown).mean
        weights = torch.linspace(0.0, 1.0, num_steps, device=device, dtype=mean.dtype)
        ends = mean.unflatten(0, (pairs, 2))  # [N, 2, D]
        z = torch.lerp(ends[:, None, 0], ends[:, None, 1], weights[:, None])
        between = model.decode(z).mean
    title = "Between two data: E[x|z] on the line from one mean of q to the other"
    data = shown.unflatten(0, (pairs, 2)).cpu()
    return interpolation_grid(data, between.cpu(), weights.cpu(), image_shape=shape, title=title)


@contextmanager
def evaluated(model: VAE, seed: int) -> Iterator[torch.device]:
    """The model in eval mode, without gradients, its noise from a seed; the model's device."""
    modes = [(module, module.training) for module in model.modules()]
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    model.eval()
    try:
        with torch.no_grad(), forked_generator(device, seed):
            yield device
    finally:
        for module, mode in modes:
            module.training = mode
