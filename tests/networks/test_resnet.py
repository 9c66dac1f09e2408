"""The residual network: its blocks change what goes through them, and its options count."""

import pytest
import torch
from torch import nn

from reparam_suite.networks import ResNet


def test_a_block_adds_to_what_goes_through_it():
    blocks = [block for block in ResNet(width=4, depth=3, stages=1)((1, 4, 4), (2,)) if hasattr(block, "change")]
    assert len(blocks) == 3
    x = torch.randn(2, 4, 4, 4)
    normed, act, first, *_ = block = blocks[0].change
    assert isinstance(normed, nn.GroupNorm)
    torch.testing.assert_close(blocks[0](x), x + block(x))
    torch.testing.assert_close(block[:3](x), first(act(normed(x))))


def test_width_depth_and_stages_are_those_that_were_asked_for():
    network = ResNet(width=4, depth=2, stages=3)((2,), (3, 8, 8))
    doublings = [layer for layer in network if isinstance(layer, nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in doublings] == [(32, 16), (16, 8), (8, 4)]
    assert sum(hasattr(layer, "change") for layer in network) == 6


@pytest.mark.parametrize("name", ["width", "depth", "stages"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"^{name}: expected an integer of at least 1, got 0$"):
        ResNet(**{name: 0})
