"""Residual convolutional networks."""

from torch import Tensor, nn

from reparam_suite.networks.activations import Activation, activation_of, require_activation
from reparam_suite.networks.builder import Builder
from reparam_suite.networks.images import ImageSide, doubling, group_norm, halving
from reparam_suite.runtime import checks


class ResNet(Builder):
    """Builds residual convolutional networks with group norm, from images to vectors or from vectors to images.

    `ResNet(width=16, depth=2, stages=2)((3, 32, 32), (20,))` maps `[B, 3, 32, 32]` to `[B, 20]`: a convolution to
    `width` channels, then in each stage `depth` residual blocks and a convolution that halves height and width and
    doubles the channels, and a linear layer last. With the shapes in the other order it is the mirror image.

    The blocks are those with normalization and activation before the convolution: He, Zhang, Ren & Sun (2016), Identity
    mappings in deep residual networks, arXiv 1603.05027; group norm: Wu & He (2018), arXiv 1803.08494.

    Args:
        width: channels at the image's own size.
        depth: residual blocks in a stage.
        stages: how often height and width are halved.
        activation: between layers.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if one is below 1 or the activation is unknown; in the call, if neither side is an image, or it
            is too small to be halved so often.
    """

    def __init__(self, *, width: int = 32, depth: int = 1, stages: int = 2, activation: Activation = "silu") -> None:
        require_activation(activation)
        self.width = checks.integer("width", width, least=1)
        self.depth = checks.integer("depth", depth, least=1)
        self.stages = checks.integer("stages", stages, least=1)
        self.activation: Activation = activation

    def __call__(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> nn.Sequential:
        """The network from data of event shape `inputs` to data of event shape `outputs`."""
        image = ImageSide.of("ResNet", inputs, outputs)
        sizes = image.halved("ResNet", self.stages)
        widths = [self.width << step for step in range(self.stages + 1)]
        features = (widths[-1], *sizes[-1])
        layers: list[nn.Module] = []
        if image.encodes:
            layers += [*image.image_in(), nn.Conv2d(image.channels, self.width, 3, padding=1)]
            for step in range(self.stages):
                layers += [*self._blocks(widths[step]), halving(widths[step], widths[step + 1])]
            return nn.Sequential(*layers, *self._normed(widths[-1]), *image.vector_out(features))
        layers += image.vector_in(features, nn.Identity())
        for step in reversed(range(self.stages)):
            layers.append(doubling(widths[step + 1], widths[step], sizes[step + 1], sizes[step]))
            layers += self._blocks(widths[step])
        layers += [*self._normed(self.width), nn.Conv2d(self.width, image.channels, 3, padding=1)]
        return nn.Sequential(*layers, *image.image_out())

    def mirrored(self) -> "ResNet":
        """The same builder: which side is the image says which way it goes."""
        return self

    def _blocks(self, channels: int) -> list[nn.Module]:
        return [_ResidualBlock(channels, self.activation) for _ in range(self.depth)]

    def _normed(self, channels: int) -> list[nn.Module]:
        return [group_norm(channels), activation_of(self.activation)]


class _ResidualBlock(nn.Module):
    """x + change(x), the change of two convolutions, each after a norm and an activation."""

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        self.change = nn.Sequential(
            *(
                layer
                for _ in range(2)
                for layer in (
                    group_norm(channels),
                    activation_of(activation),
                    nn.Conv2d(channels, channels, 3, padding=1),
                )
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]`, in and out."""
        changed: Tensor = x + self.change(x)
        return changed
