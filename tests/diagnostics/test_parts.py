"""Inner products and variances of gradients that are never formed, against the gradients themselves."""

import pytest
import torch
from torch import Tensor, nn

from reparam_suite.diagnostics import parts
from reparam_suite.diagnostics.parts import ROUNDING, Affine, Explicit, Part


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def affine(
    rows: int, repeats: int, seen: int, num_inputs: int = 3, num_outputs: int = 2
) -> tuple[Affine, list[Tensor]]:
    """A layer of four data, and its gradients by weight and bias, `[B, R, O, I]` and `[B, R, O]`, in a plain loop."""
    activations, deltas = numbers(4, rows, seen, num_inputs), numbers(4, rows, repeats, num_outputs, seed=1)
    weight, bias = nn.Parameter(numbers(num_outputs, num_inputs)), nn.Parameter(numbers(num_outputs))
    by_weight = torch.zeros(4, repeats, num_outputs, num_inputs, dtype=torch.float64)
    by_bias = torch.zeros(4, repeats, num_outputs, dtype=torch.float64)
    for b in range(4):
        for r in range(repeats):
            for s in range(rows):
                delta = deltas[b, s, r]
                by_weight[b, r] += torch.outer(delta, activations[b, s, r if seen > 1 else 0])
                by_bias[b, r] += delta
    return Affine(weight, bias, activations, deltas), [by_weight, by_bias]


def assert_same(part: Part, gradients: list[Tensor]) -> None:
    flat = torch.cat([gradient.reshape(*gradient.shape[:2], -1) for gradient in gradients], -1)
    torch.testing.assert_close(part.gram(), torch.einsum("brp,bqp->brq", flat, flat))
    for found, gradient in zip(part.element_variances(), gradients, strict=True):
        torch.testing.assert_close(found, gradient.var(1).sum(0))
    totals = [gradient.sum((0, 1)) for gradient in gradients]
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the direction in which sums are compared
        assert part.missed(totals) < 1e-12
        for index in range(len(totals)):
            wrong = [total.clone() for total in totals]
            wrong[index].view(-1)[0] += 0.1 * totals[index].abs().max()
            assert part.missed(wrong) > ROUNDING, "a path around the layer is noticed"


# Rows of a datum and repeat, repeats, repeats that see other inputs: from single rows to more pairs than are worth it.
@pytest.mark.parametrize(
    ("rows", "repeats", "seen"), [(1, 4, 1), (1, 4, 4), (3, 4, 1), (3, 4, 4), (7, 4, 4), (40, 4, 4)]
)
def test_a_layer_has_the_products_of_its_gradients(rows, repeats, seen):
    assert_same(*affine(rows, repeats, seen))


def test_few_inner_products_at_a_time_give_the_same(monkeypatch):
    part, gradients = affine(3, 4, 4, 12, 12)
    for elements in (1, 144, 300):  # gradients formed, a datum at a time, two data at a time
        monkeypatch.setattr(parts, "GRAM_ELEMENTS", elements)
        assert_same(part, gradients)


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_what_is_not_trained_takes_no_part(frozen):
    part, (by_weight, by_bias) = affine(2, 5, 5)
    weight, bias = part.weight, part.bias
    (weight if frozen == "weight" else bias).requires_grad_(False)
    kept = Affine(weight, bias, part.activations, part.deltas)
    assert kept.parameters == ((bias,) if frozen == "weight" else (weight,))
    assert_same(kept, [by_bias if frozen == "weight" else by_weight])


def test_gradients_at_hand_are_compared_element_by_element():
    one, other = numbers(4, 5, 2, 3), numbers(4, 5, seed=1)
    parameters = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(()))
    assert_same(Explicit(dict(zip(parameters, (one, other), strict=True))), [one, other])


def test_a_gradient_that_vanishes_is_explained():
    gradients = {nn.Parameter(torch.zeros(2)): torch.zeros(3, 4, 2)}
    assert Explicit(gradients).missed([torch.zeros(2)]) == 0.0
