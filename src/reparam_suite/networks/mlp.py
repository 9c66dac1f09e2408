"""Multilayer perceptrons."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from reparam_suite.networks.activations import Activation, activation_of, require_activation
from reparam_suite.networks.builder import Builder
from reparam_suite.runtime.checks import as_integer
from reparam_suite.runtime.errors import ArgumentTypeError


class MLP(Builder):
    """Builds multilayer perceptrons: `MLP(hidden_sizes=(200, 200))((64,), (20,))` maps `[B, 64]` to `[B, 20]`.

    Event shapes of several axes are flattened on the way in and restored on the way out.

    Args:
        hidden_sizes: widths of the hidden layers; none at all is linear.
        activation: between layers.

    Raises:
        ValueError: if a width is not positive or the activation is unknown.
    """

    def __init__(self, *, hidden_sizes: Sequence[int] = (200, 200), activation: Activation = "relu") -> None:
        given: Any = hidden_sizes
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ArgumentTypeError(f"hidden_sizes: expected a list of integers, got {given!r}")
        widths = tuple(as_integer("hidden_sizes", size) for size in given)
        if any(size < 1 for size in widths):
            raise ValueError(f"hidden_sizes: expected widths of at least 1, got {list(widths)}")
        require_activation(activation)
        self.hidden_sizes = widths
        self.activation: Activation = activation

    def __call__(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> nn.Sequential:
        """The network from data of event shape `inputs` to data of event shape `outputs`."""
        sizes = [math.prod(inputs), *self.hidden_sizes, math.prod(outputs)]
        layers: list[nn.Module] = [nn.Flatten()] if len(inputs) > 1 else []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), activation_of(self.activation)]
        del layers[-1]
        return nn.Sequential(*layers, *([nn.Unflatten(-1, outputs)] if len(outputs) > 1 else []))

    def mirrored(self) -> "MLP":
        """The same widths in reverse."""
        return MLP(hidden_sizes=self.hidden_sizes[::-1], activation=self.activation)
