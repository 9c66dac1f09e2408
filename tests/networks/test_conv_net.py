"""The strided convolutional network, layer by layer."""

import pytest
import torch
from torch import nn

from reparam_suite.networks import ConvNet


def test_it_is_strided_convolutions_with_activations_and_a_linear_layer():
    first, _, second, _, flat, last = ConvNet(channels=(2, 3), activation="tanh")((3, 8, 8), (4,))
    assert isinstance(flat, nn.Flatten)
    x = torch.randn(2, 3, 8, 8)
    expected = last(torch.tanh(second(torch.tanh(first(x)))).flatten(1))
    made = ConvNet(channels=(2, 3), activation="tanh")((3, 8, 8), (4,))
    made.load_state_dict(nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), flat, last).state_dict())
    torch.testing.assert_close(made(x), expected)
    assert (first.stride, second.out_channels, last.in_features) == ((2, 2), 3, 3 * 2 * 2)


def test_no_pixel_of_the_decoder_has_more_contributions_than_another():
    decoder = ConvNet(channels=(2, 2))((1,), (1, 16, 16))
    for layer in decoder.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
    nn.init.ones_(decoder[0].weight)
    nn.init.zeros_(decoder[0].bias)
    inside = decoder(torch.ones(1, 1))[0, 0, 4:-4, 4:-4]
    assert inside.unique().numel() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ()}, "channels: expected one number or more, got none"),
        ({"channels": (4, 0)}, "channels: expected an integer of at least 1, got 0"),
        ({"norm": "batch"}, 'norm: expected "none" or "group", got \'batch\''),
        ({"activation": "gelu"}, "activation: expected one of relu, .*, got 'gelu'"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ConvNet(**options)
