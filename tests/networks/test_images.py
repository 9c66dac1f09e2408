"""Convolutional networks from event shapes: both directions, every size, and what is refused."""

import pytest
import torch
from torch import nn

from reparam_suite.models import GaussianVAE
from reparam_suite.networks import MLP, Builder, ConvNet, ResNet

BUILDERS = [ConvNet(channels=(4, 6)), ConvNet(channels=(4, 6), norm="group"), ResNet(width=4, stages=2)]


@pytest.mark.parametrize(
    "builder", BUILDERS, ids=lambda builder: f"{type(builder).__name__}-{getattr(builder, 'norm', '')}"
)
@pytest.mark.parametrize("image", [(3, 8, 8), (1, 7, 10), (5, 6)])
@pytest.mark.parametrize("vector", [(2,), (2, 3)])
def test_both_directions_have_the_shapes_that_were_asked_for(builder, image, vector):
    x, z = torch.randn(2, *image), torch.randn(2, *vector)
    if len(vector) == 1:  # the parameters of a posterior are a vector
        assert builder(image, vector)(x).shape == z.shape
    decoded = builder(vector, image)(z)
    assert decoded.shape == x.shape
    # Every output depends on the datum's input, and on no other datum's.
    changed = builder(vector, image)
    moved = torch.cat([z[:1], z[1:] + 1.0])
    assert torch.equal(changed(z)[0], changed(moved)[0])
    assert not torch.equal(changed(z)[1], changed(moved)[1])


@pytest.mark.parametrize("builder", [ConvNet(channels=(4, 4, 4)), ResNet(width=4, stages=3)], ids=["ConvNet", "ResNet"])
def test_an_image_that_cannot_be_halved_so_often_is_refused(builder):
    message = "expected images of at least 8 x 8 pixels to halve 3 times, got 8 x 7"
    with pytest.raises(ValueError, match=f"^{type(builder).__name__}: {message}$"):
        builder((1, 8, 7), (4,))
    with pytest.raises(ValueError, match=message):
        builder((4,), (1, 8, 7))


def test_vectors_on_both_sides_are_refused():
    with pytest.raises(ValueError, match=r"^ConvNet: expected an image, .* got \(64,\) and \(20,\): give the data"):
        ConvNet()((64,), (20,))


def test_the_decoder_mirrors_the_encoder_where_it_is_not_given():
    def decoder_of(encoder, **options) -> list[nn.Module]:
        model = GaussianVAE(event_shape=(1, 8, 8), latent_size=2, encoder=encoder, **options)
        return [
            layer for layer in model.likelihood.network.modules() if isinstance(layer, nn.Linear | nn.ConvTranspose2d)
        ]

    assert [type(layer) for layer in decoder_of(ConvNet(channels=(3, 4)))] == [nn.Linear, *[nn.ConvTranspose2d] * 2]
    assert [layer.out_features for layer in decoder_of(MLP(hidden_sizes=(5, 7)))] == [7, 5, 64]

    class OneWay(Builder):
        def __call__(self, inputs, outputs):
            return nn.Sequential(nn.Flatten(), nn.Linear(64, *outputs))

    assert [layer.out_features for layer in decoder_of(OneWay(), hidden_sizes=(9, 8))] == [8, 9, 64]


@pytest.mark.parametrize("channels", [3, 4])
def test_an_image_with_its_channels_last_is_refused(channels):
    message = rf"expected an image with its channels first, \[C, H, W\], got \(16, 16, {channels}\): x.transpose"
    for inputs, outputs in (((16, 16, channels), (4,)), ((4,), (16, 16, channels))):
        with pytest.raises(ValueError, match=message):
            ConvNet()(inputs, outputs)
