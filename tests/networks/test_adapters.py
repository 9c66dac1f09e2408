"""Modules before and after a network."""

import pytest
import torch
from torch import nn

from reparam_suite.networks import BiasFromMean, Centred, SignedBits


def test_centring_subtracts_the_mean_that_it_was_given():
    centred, x = Centred((2, 3)), torch.randn(5, 2, 3)
    assert torch.equal(centred(x), x)
    mean = torch.randn(2, 3)
    centred.start_from_mean(mean)
    assert torch.equal(centred(x), x - mean)
    assert "mean" in centred.state_dict()


def test_bits_are_signed():
    assert SignedBits()(torch.tensor([0.0, 1.0])).tolist() == [-1.0, 1.0]


def test_the_last_linear_layer_starts_from_the_mean():
    network = BiasFromMean(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)), lambda mean: 2.0 * mean)
    mean = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    network.start_from_mean(mean)
    assert torch.equal(network[0][2].bias, 2.0 * mean.flatten())


@pytest.mark.parametrize(
    ("network", "got"), [(nn.Linear(3, 5), "got 5"), (nn.Linear(3, 4, bias=False), "got 4 without one")]
)
def test_a_bias_that_is_not_there_is_refused(network, got):
    with pytest.raises(ValueError, match=f"gives 4 numbers with a bias, {got}"):
        BiasFromMean(network, lambda mean: mean).start_from_mean(torch.zeros(4))


def test_a_network_without_a_linear_layer_is_refused():
    with pytest.raises(ValueError, match="expected a decoder that ends with a linear layer, got one without any"):
        BiasFromMean(nn.Conv2d(1, 1, 1), lambda mean: mean)
