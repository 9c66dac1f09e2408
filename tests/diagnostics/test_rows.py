"""Which row of a layer belongs to which datum: inner products of its parts against gradients of each datum alone."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.calls import Call, NotLayerwiseError
from reparam_suite.diagnostics.parts import Affine, Explicit
from reparam_suite.diagnostics.rows import is_affine, parts_of

K, R, B = 2, 3, 4


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


LAYERS = {
    "linear": (lambda: nn.Linear(3, 2), (3,)),
    "linear at positions": (lambda: nn.Linear(3, 2, bias=False), (5, 3)),
    "convolution": (lambda: nn.Conv2d(2, 3, 2, stride=2, padding=1, dilation=1), (2, 4, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 2, 3)),
    "normalisation": (lambda: nn.LayerNorm(3), (3,)),
}


def gradients(layer: nn.Module, x: Tensor, delta: Tensor) -> Tensor:
    """All parameters in one vector."""
    found = torch.autograd.grad(layer(x.unsqueeze(0)), list(layer.parameters()), delta.unsqueeze(0))
    return torch.cat([gradient.flatten() for gradient in found])


@pytest.mark.parametrize("name", LAYERS)
def test_rows_of_a_decoder_stand_sample_by_sample_repeat_by_repeat_datum_by_datum(name):
    make, event = LAYERS[name]
    layer = make().double()
    x = numbers(K * R * B, *event)
    y = layer(x)
    delta = numbers(*y.shape, seed=1)
    found = parts_of([Call(layer, (x,), (y,), (0,), (K, R, B))], [(delta,)])
    single = torch.stack([gradients(layer, *pair) for pair in zip(x, delta, strict=True)]).unflatten(0, (K, R, B))
    expected = single.sum(0).transpose(0, 1)  # [B, R, P]
    torch.testing.assert_close(sum(part.gram() for part in found), expected @ expected.mT)
    assert {type(part) for part in found} == {Affine if is_affine(layer) else Explicit}
    assert is_affine(layer) == (name != "normalisation")


@pytest.mark.parametrize("name", LAYERS)
def test_an_encoder_that_ran_once_is_given_what_comes_back_in_every_repeat(name):
    make, event = LAYERS[name]
    layer = make().double()
    x = numbers(B, *event)
    y = layer(x)
    delta = numbers(R, *y.shape, seed=1)
    found = parts_of([Call(layer, (x,), (y,), (0,), (B,))], [(delta,)])
    expected = torch.stack([gradients(layer, x[b], delta[r, b]) for b, r in product(range(B), range(R))])
    expected = expected.unflatten(0, (B, R))
    torch.testing.assert_close(sum(part.gram() for part in found), expected @ expected.mT)


def test_calls_of_one_layer_are_one_part():
    layer = nn.Linear(3, 3).double()
    x = numbers(R * B, 3)
    y = layer(x)
    delta = numbers(R * B, 3, seed=1)
    calls = [Call(layer, (tensor,), (layer(tensor),), (0,), (1, R, B)) for tensor in (x, y)]
    (part,) = parts_of(calls, [(delta,), (2.0 * delta,)])
    single = [gradients(layer, x[n], delta[n]) + gradients(layer, y[n].detach(), 2.0 * delta[n]) for n in range(R * B)]
    expected = torch.stack(single).unflatten(0, (R, B)).transpose(0, 1)
    torch.testing.assert_close(part.gram(), expected @ expected.mT)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(1, 1, 3, padding="same"),
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"),
        nn.ConvTranspose2d(2, 2, 2, groups=2),
        type("Own", (nn.Linear,), {"forward": lambda self, x: x})(2, 2),
    ],
    ids=["groups", "padded by name", "circular", "transposed groups", "a forward of its own"],
)
def test_what_is_not_affine_in_plain_rows_is_taken_row_by_row(layer):
    assert not is_affine(layer)


def test_an_image_without_a_batch_axis_is_told():
    layer, image = nn.Conv2d(1, 1, 2), torch.zeros(1, 3, 3)
    y = layer(image)
    with pytest.raises(NotLayerwiseError, match=r"an image without a batch axis, \[1, 3, 3\]"):
        parts_of([Call(layer, (image,), (y,), (0,), (1, 1, 1))], [(y.detach(),)])
