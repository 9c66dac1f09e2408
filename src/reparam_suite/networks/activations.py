"""Activations between the layers of a network, by name."""

from typing import Literal, get_args

from torch import nn

Activation = Literal["relu", "leaky_relu", "elu", "tanh", "softplus", "silu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
}


def require_activation(name: Activation) -> None:
    """Refuses a name that is no activation.

    Raises:
        ValueError: naming those that there are.
    """
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(get_args(Activation))}, got {name!r}")


def activation_of(name: Activation) -> nn.Module:
    """A new module that applies the activation."""
    return _ACTIVATIONS[name]()
