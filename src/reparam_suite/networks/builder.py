"""The interface of builders: event shapes in, a network out."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import nn


class Builder(ABC):
    """Builds a network from the event shapes of one datum, for a model that knows them.

    A function of the same arguments is a builder as well; a class that options are to name derives from this one.
    """

    @abstractmethod
    def __call__(self, inputs: tuple[int, ...], outputs: tuple[int, ...], /) -> nn.Module:
        """A module from `[B, *inputs]` to `[B, *outputs]`, or to as many numbers per datum in any shape."""

    def mirrored(self) -> "Builder | None":
        """The builder of a decoder where this one makes the encoder and no decoder is given; None if there is none."""
        return None


def built(
    network: nn.Module | Callable[..., nn.Module], inputs: tuple[int, ...], outputs: tuple[int, ...], part: str
) -> nn.Module:
    """The module itself, or what a builder makes of the shapes.

    Raises:
        TypeError: naming `part`, if the result is not a module.
    """
    if isinstance(network, type):
        raise TypeError(f"{part}: expected a module or a builder, got the class {network.__name__}: call it first")
    made = network if isinstance(network, nn.Module) else network(inputs, outputs)
    if not isinstance(made, nn.Module):
        raise TypeError(f"{part}: expected a builder that returns an nn.Module, got {type(made).__name__}")
    return made
