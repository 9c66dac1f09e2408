"""The interface of builders: event shapes in, a network out."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import nn

from reparam_suite.runtime.checks import takes


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
        TypeError: naming `part`, if it is neither, or the builder does not return a module.
        ValueError: if weights are of another type than torch's default, which the other parts have.
    """
    if isinstance(network, type):
        raise TypeError(f"{part}: expected a module or a builder, got the class {network.__name__}: call it first")
    if not isinstance(network, nn.Module) and not takes(network, 2):
        raise TypeError(f"{part}: expected a module or a builder (inputs, outputs) -> module, got {network!r:.200}")
    made = network if isinstance(network, nn.Module) else network(inputs, outputs)
    if not isinstance(made, nn.Module):
        raise TypeError(f"{part}: expected a builder that returns an nn.Module, got {type(made).__name__}")
    expected = torch.get_default_dtype()
    for parameter in made.parameters():
        if parameter.is_floating_point() and parameter.dtype != expected:
            raise ValueError(f"{part}: expected weights of {expected}, got {parameter.dtype}")
    return made
