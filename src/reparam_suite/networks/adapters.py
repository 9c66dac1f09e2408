"""Modules before and after a network: centred input, bits as -1 and 1, an output bias that starts from the data.

A module with a method `start_from_mean(mean)` is given the mean of the training data, of the event shape of x, before
the first step; a user's module as well.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from reparam_suite.runtime.checks import checked_shape


class Centred(nn.Module):
    """x minus the mean of the training data; minus nothing before the training.

    Args:
        event_shape: of one datum.
    """

    mean: Tensor

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(checked_shape("event_shape", event_shape)))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, *event_shape]`, as it comes in."""
        return x - self.mean

    @torch.no_grad()
    def start_from_mean(self, mean: Tensor) -> None:
        """Takes the mean of the training data."""
        self.mean.copy_(mean)


class SignedBits(nn.Module):
    """0 and 1 as -1 and 1."""

    def forward(self, z: Tensor) -> Tensor:
        """2 z - 1."""
        return 2.0 * z - 1.0


class BiasFromMean(nn.Sequential):
    """A network whose last layer, linear or a convolution, starts with the bias that gives the mean of the data.

    The bias of a convolution is one number a channel: it gives the channel's mean over the pixels.

    Args:
        network: a network whose last linear layer or convolution gives all elements of a datum.
        raw_of: the network's output for a given mean.

    Raises:
        ValueError: if the network has no such layer.
    """

    def __init__(self, network: nn.Module, raw_of: Callable[[Tensor], Tensor]) -> None:
        super().__init__(network)
        if not any(isinstance(module, _LAST) for module in network.modules()):
            raise ValueError(
                "initialize_bias: expected a decoder that ends with a linear layer or a convolution, got one without"
            )
        self._raw_of = raw_of

    @torch.no_grad()
    def start_from_mean(self, mean: Tensor) -> None:
        """Sets the bias.

        Raises:
            ValueError: if the last layer gives another number of outputs than a datum has elements, or channels.
        """
        output = [module for module in self.modules() if isinstance(module, _LAST)][-1]
        if not isinstance(output, nn.Linear):
            mean = mean.mean((-2, -1))
        raw = self._raw_of(mean).flatten()
        if output.bias is None or output.bias.shape != raw.shape:
            given = output.out_features if isinstance(output, nn.Linear) else output.out_channels
            raise ValueError(
                f"initialize_bias: expected a decoder whose last layer, {type(output).__name__}, gives {len(raw)} "
                f"numbers with a bias, got {given}{'' if output.bias is not None else ' without one'}"
            )
        output.bias.copy_(raw)


_LAST = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
