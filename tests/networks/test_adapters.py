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
    with pytest.raises(ValueError, match=f"whose last layer, Linear, gives 4 numbers with a bias, {got}"):
        BiasFromMean(network, lambda mean: mean).start_from_mean(torch.zeros(4))


def test_a_convolution_that_comes_last_starts_from_the_mean_of_each_channel():
    network = BiasFromMean(nn.Sequential(nn.Linear(3, 8), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 3, 2)), abs)
    mean = torch.tensor([[[-1.0, 3.0]], [[2.0, 4.0]], [[0.0, -5.0]]])  # [3, 1, 2]
    network.start_from_mean(mean)
    assert network[0][2].bias.tolist() == [1.0, 3.0, 2.5]
    with pytest.raises(ValueError, match="whose last layer, ConvTranspose2d, gives 2 numbers with a bias, got 3"):
        network.start_from_mean(mean[:2])


def test_a_network_without_such_a_layer_is_refused():
    with pytest.raises(ValueError, match="ends with a linear layer or a convolution, got one without"):
        BiasFromMean(nn.Flatten(), lambda mean: mean)
