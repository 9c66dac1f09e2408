"""Networks: data to parameter tensors (encoder), latents to logits (decoder)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from torch import nn

Activation = Literal["relu", "leaky_relu", "elu", "tanh", "softplus"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


def mlp(num_inputs: int, hidden_sizes: Sequence[int], num_outputs: int, activation: Activation) -> nn.Sequential:
    """A multilayer perceptron on the last axis, `[*B, num_inputs]` to `[*B, num_outputs]`; linear if nothing is hidden.

    Raises:
        ValueError: if a size is not positive or the activation is unknown.
    """
    if any(size < 1 for size in hidden_sizes):
        raise ValueError(f"hidden_sizes must be positive, got {list(hidden_sizes)}")
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(get_args(Activation))}, got {activation!r}")
    layers: list[nn.Module] = []
    sizes = [num_inputs, *hidden_sizes, num_outputs]
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
