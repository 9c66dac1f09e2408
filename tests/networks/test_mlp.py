from typing import get_args

import pytest
import torch
from torch import nn

from reparam_suite.networks import Activation, mlp


def test_nothing_hidden_is_one_linear_layer():
    network = mlp(6, [], 4, "relu")
    (layer,) = network
    assert isinstance(layer, nn.Linear)
    x = torch.randn(2, 3, 6)
    assert torch.equal(network(x), x @ layer.weight.T + layer.bias)


@pytest.mark.parametrize(
    ("activation", "formula"),
    [
        ("relu", lambda x: x.clamp_min(0)),
        ("leaky_relu", lambda x: torch.where(x > 0, x, 0.01 * x)),
        ("elu", lambda x: torch.where(x > 0, x, x.exp() - 1.0)),
        ("tanh", torch.tanh),
        ("softplus", lambda x: torch.log1p(x.exp())),
    ],
)
def test_an_activation_stands_after_every_layer_but_the_last(activation, formula):
    network = mlp(6, [5, 7], 4, activation)
    layers = [each for each in network if isinstance(each, nn.Linear)]
    assert [(each.in_features, each.out_features) for each in layers] == [(6, 5), (5, 7), (7, 4)]
    x = torch.randn(9, 6)
    first, second, last = layers
    assert torch.allclose(network(x), last(formula(second(formula(first(x))))), atol=1e-6)


@pytest.mark.parametrize("sizes", [[0], [5, -1]])
def test_a_size_that_is_not_positive_is_refused(sizes):
    with pytest.raises(ValueError, match=rf"hidden_sizes must be positive, got \{str(sizes)[:-1]}\]"):
        mlp(6, sizes, 4, "relu")


def test_an_unknown_activation_is_refused():
    known = ", ".join(get_args(Activation))
    with pytest.raises(ValueError, match=f"activation must be one of {known}, got 'gelu'"):
        mlp(6, [5], 4, "gelu")
