"""Strided convolutional networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from torch import nn

from reparam_suite.networks.activations import Activation, activation_of, require_activation
from reparam_suite.networks.builder import Builder
from reparam_suite.networks.images import ImageSide, doubling, group_norm, halving
from reparam_suite.runtime import checks

Norm = Literal["none", "group"]


class ConvNet(Builder):
    """Builds strided convolutional networks, from images to vectors or from vectors to images.

    `ConvNet(channels=(16, 32))((3, 32, 32), (20,))` maps `[B, 3, 32, 32]` to `[B, 20]`: convolutions with kernels of
    4 x 4 halve height and width once for each entry of `channels`, and a linear layer comes last. With the shapes in
    the other order it is the mirror image: a linear layer, then transposed convolutions.

    Args:
        channels: after each halving, from the image inwards; a decoder goes through them in reverse.
        norm: "group" puts group norm, which treats every image by itself, before each activation.
        activation: between layers.

    Raises:
        TypeError: if a number of channels is no integer.
        ValueError: if one is not positive, or norm or activation is unknown; in the call, if neither
            side is an image, or it is too small to be halved so often.
    """

    def __init__(
        self, *, channels: Sequence[int] = (32, 64), norm: Norm = "none", activation: Activation = "relu"
    ) -> None:
        self.channels = tuple(checks.integers("channels", channels, least=1))
        if not self.channels:
            raise ValueError("channels: expected one number or more, got none")
        checks.one_of("norm", norm, get_args(Norm))
        require_activation(activation)
        self.norm: Norm = norm
        self.activation: Activation = activation

    def __call__(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> nn.Sequential:
        """The network from data of event shape `inputs` to data of event shape `outputs`."""
        image = ImageSide.of("ConvNet", inputs, outputs)
        sizes = image.halved("ConvNet", len(self.channels))
        widths = [image.channels, *self.channels]
        features = (widths[-1], *sizes[-1])
        if image.encodes:
            halvings = [halving(a, b) for a, b in pairwise(widths)]
            inside = [each for layer in halvings for each in (layer, *self._after(layer.out_channels))]
            return nn.Sequential(*image.image_in(), *inside, *image.vector_out(features))
        doublings = [
            doubling(widths[step + 1], widths[step], sizes[step + 1], sizes[step])
            for step in reversed(range(len(self.channels)))
        ]
        inside = [each for layer in doublings for each in (layer, *self._after(layer.out_channels))]
        last = len(self._after(1))  # the image is the last layer's output as it is
        into = image.vector_in(features, activation_of(self.activation))
        return nn.Sequential(*into, *inside[:-last], *image.image_out())

    def mirrored(self) -> "ConvNet":
        """The same builder: which side is the image says which way it goes."""
        return self

    def _after(self, channels: int) -> list[nn.Module]:
        norms: list[nn.Module] = [group_norm(channels)] if self.norm == "group" else []
        return [*norms, activation_of(self.activation)]
