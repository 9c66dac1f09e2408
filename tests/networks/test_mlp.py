"""Multilayer perceptrons from event shapes."""

from typing import get_args

import pytest
import torch
from torch import nn

from reparam_suite.networks import MLP, Activation


def test_nothing_hidden_is_one_linear_layer():
    network = MLP(hidden_sizes=())((6,), (4,))
    (layer,) = network
    assert isinstance(layer, nn.Linear)
    x = torch.randn(3, 6)
    assert torch.equal(network(x), x @ layer.weight.T + layer.bias)


@pytest.mark.parametrize(
    ("activation", "formula"),
    [
        ("relu", lambda x: x.clamp_min(0)),
        ("leaky_relu", lambda x: torch.where(x > 0, x, 0.01 * x)),
        ("elu", lambda x: torch.where(x > 0, x, x.exp() - 1.0)),
        ("tanh", torch.tanh),
        ("silu", lambda x: x / (1.0 + (-x).exp())),
        ("softplus", lambda x: torch.log1p(x.exp())),
    ],
)
def test_an_activation_stands_after_every_layer_but_the_last(activation, formula):
    network = MLP(hidden_sizes=[5, 7], activation=activation)((6,), (4,))
    layers = [module for module in network if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(6, 5), (5, 7), (7, 4)]
    x = torch.randn(9, 6)
    first, second, last = layers
    assert torch.allclose(network(x), last(formula(second(formula(first(x))))), atol=1e-6)


def test_event_shapes_are_flattened_and_restored():
    network = MLP(hidden_sizes=(5,))((1, 3, 2), (2, 2))
    x = torch.randn(9, 1, 3, 2)
    flat = MLP(hidden_sizes=(5,))((6,), (4,))
    flat.load_state_dict(dict(zip(flat.state_dict(), network.state_dict().values(), strict=True)))
    assert network(x).shape == (9, 2, 2)
    assert torch.equal(network(x).flatten(1), flat(x.flatten(1)))


def test_the_mirror_image_has_the_widths_in_reverse():
    mirrored = MLP(hidden_sizes=(5, 7), activation="tanh").mirrored()
    assert (mirrored.hidden_sizes, mirrored.activation) == ((7, 5), "tanh")


@pytest.mark.parametrize("sizes", [[0], [5, -1]])
def test_a_size_that_is_not_positive_is_refused(sizes):
    with pytest.raises(ValueError, match=rf"hidden_sizes: expected widths of at least 1, got \{str(sizes)[:-1]}\]"):
        MLP(hidden_sizes=sizes)


def test_an_unknown_activation_is_refused():
    known = ", ".join(get_args(Activation))
    with pytest.raises(ValueError, match=f"activation: expected one of {known}, got 'gelu'"):
        MLP(activation="gelu")
