"""Gradients of any module row by row against a backward pass for each row."""

import pytest
import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.calls import Call, NotLayerwiseError
from reparam_suite.diagnostics.modulewise import gradients_of_module

K, R, B = 2, 3, 4


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def called(module: nn.Module, x: Tensor, lead: tuple[int, ...]) -> Call:
    return Call(module=module, inputs=(x,), outputs=(module(x),), places=(0,), lead=lead)


def one_by_one(module: nn.Module, rows: Tensor, deltas: Tensor) -> dict[str, Tensor]:
    """The gradient of each row alone, `[N, ...]`."""
    found: dict[str, list[Tensor]] = {}
    for row, delta in zip(rows, deltas, strict=True):
        gradients = torch.autograd.grad(module(row.unsqueeze(0)), list(module.parameters()), delta.unsqueeze(0))
        for (name, _), gradient in zip(module.named_parameters(), gradients, strict=True):
            found.setdefault(name, []).append(gradient)
    return {name: torch.stack(gradients) for name, gradients in found.items()}


MODULES = {
    "normalisation": (lambda: nn.LayerNorm(5), (5,)),
    "one-dimensional convolution": (lambda: nn.Conv1d(2, 3, 2), (2, 6)),
    "groups": (lambda: nn.GroupNorm(1, 2), (2, 3)),
}


@pytest.mark.parametrize("name", MODULES)
def test_samples_repeats_and_data_are_told_apart(name):
    make, event = MODULES[name]
    module = make().double()
    x = numbers(K * R * B, *event)
    call = called(module, x, (K, R, B))
    delta = numbers(*call.outputs[0].shape, seed=1)
    found = gradients_of_module(module, [(call, (delta,))])
    alone = one_by_one(module, x, delta)
    for key, parameter in module.named_parameters():
        of_rows = alone[key].unflatten(0, (K, R, B))
        torch.testing.assert_close(found[parameter], of_rows.sum(0).transpose(0, 1))


def test_an_encoder_that_ran_once_has_a_cotangent_for_every_repeat():
    module, x = nn.LayerNorm(5).double(), numbers(B, 5)
    delta = numbers(R, B, 5, seed=1)
    found = gradients_of_module(module, [(called(module, x, (B,)), (delta,))])
    alone = one_by_one(module, x.repeat(R, 1), delta.flatten(0, 1))
    for key, parameter in module.named_parameters():
        torch.testing.assert_close(found[parameter], alone[key].unflatten(0, (R, B)).transpose(0, 1))


def test_several_calls_add_up():
    module, x = nn.LayerNorm(5).double(), numbers(K * R * B, 5)
    calls = [(called(module, factor * x, (K, R, B)), (numbers(K * R * B, 5, seed=2),)) for factor in (1.0, 3.0)]
    both = gradients_of_module(module, calls)[module.weight]
    apart = [gradients_of_module(module, [call])[module.weight] for call in calls]
    torch.testing.assert_close(both, apart[0] + apart[1])


def test_a_module_that_sees_its_whole_batch_is_told():
    class Batch(nn.LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) != K * R * B:
                raise RuntimeError("a batch of another size")
            return super().forward(x)

    module, x = Batch(5).double(), numbers(K * R * B, 5)
    with pytest.raises(NotLayerwiseError, match=r"^Batch cannot be run row by row: a batch of another size"):
        gradients_of_module(module, [(called(module, x, (K, R, B)), (x,))])
