"""The pieces of convolutional networks: the side that is an image, its sizes, and the way in and out."""

import math
from dataclasses import dataclass
from typing import final

from torch import nn

_COLOUR = (3, 4)  # channels


@final
@dataclass(frozen=True)
class ImageSide:
    """The side of a network that is an image, and the vector on its other side.

    Attributes:
        channels: of the image.
        size: its height and width.
        vector: event shape of the other side.
        encodes: whether the image goes in.
        shape: event shape of the image, [C, H, W] or [H, W].
    """

    channels: int
    size: tuple[int, int]
    vector: tuple[int, ...]
    encodes: bool
    shape: tuple[int, ...]

    @classmethod
    def of(cls, builder: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> "ImageSide":
        """The side that is [C, H, W] or [H, W]; the outputs where both could be, as those of a decoder of one-hots.

        Raises:
            ValueError: naming the builder, if neither side is an image, or the image has its channels last.
        """
        for shape, other, encodes in ((outputs, inputs, False), (inputs, outputs, True)):
            if len(shape) in (2, 3):
                channels, height, width = shape if len(shape) == 3 else (1, *shape)
                if width in _COLOUR and channels == height > width:
                    raise ValueError(
                        f"{builder}: expected an image with its channels first, [C, H, W], got {shape}: "
                        "x.transpose(0, 3, 1, 2) has them there"
                    )
                return cls(channels, (height, width), other, encodes, shape)
        raise ValueError(
            f"{builder}: expected an image, [C, H, W] or [H, W], on one side, got {inputs} and {outputs}: "
            "give the data an event_shape with height and width"
        )

    def halved(self, builder: str, times: int) -> list[tuple[int, int]]:
        """Height and width after 0, 1, .. `times` halvings, rounded down.

        Raises:
            ValueError: naming the builder, if nothing is left of the image.
        """
        height, width = self.size
        if min(height, width) >> times == 0:
            raise ValueError(
                f"{builder}: expected images of at least {1 << times} x {1 << times} pixels to halve {times} times, "
                f"got {height} x {width}"
            )
        return [(height >> step, width >> step) for step in range(times + 1)]

    def image_in(self) -> list[nn.Module]:
        """From the event shape to [C, H, W]."""
        return [nn.Unflatten(1, (1, self.shape[0]))] if len(self.shape) == 2 else []

    def image_out(self) -> list[nn.Module]:
        """From [C, H, W] to the event shape."""
        return [nn.Flatten(1, 2)] if len(self.shape) == 2 else []

    def vector_in(self, features: tuple[int, int, int], hidden: nn.Module) -> list[nn.Module]:
        """From the vector to `features` [C, H, W], with an activation after."""
        flat: list[nn.Module] = [nn.Flatten()] if len(self.vector) > 1 else []
        return [*flat, nn.Linear(math.prod(self.vector), math.prod(features)), nn.Unflatten(1, features), hidden]

    def vector_out(self, features: tuple[int, int, int]) -> list[nn.Module]:
        """From `features` [C, H, W] to the vector."""
        shaped: list[nn.Module] = [nn.Unflatten(1, self.vector)] if len(self.vector) > 1 else []
        return [nn.Flatten(), nn.Linear(math.prod(features), math.prod(self.vector)), *shaped]


def halving(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution that halves height and width, rounded down."""
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)


def doubling(inputs: int, outputs: int, small: tuple[int, int], large: tuple[int, int]) -> nn.ConvTranspose2d:
    """The transposed convolution from height and width `small` to `large`, whose halves they are, rounded down.

    Its kernel is a multiple of its stride, so that every pixel has as many contributions and no checkerboard shows.
    """
    rest = (large[0] - 2 * small[0], large[1] - 2 * small[1])
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, output_padding=rest)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm in as many groups as divide the channels, at most 8: it treats every image by itself."""
    return nn.GroupNorm(math.gcd(8, channels), channels)
