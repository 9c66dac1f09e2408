"""Gradients of single data with respect to a few numbers, whatever way they enter the objective."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.calls import NotLayerwiseError

MOST_NUMBERS = 8
"""A scale that all of a datum shares, a temperature; each takes a backward pass through the operations that use it."""


def gradients_of_few_numbers(objective: Tensor, parameters: Sequence[nn.Parameter]) -> dict[Tensor, Tensor]:
    """The gradient of each of N objectives with respect to the parameters, `[N, ...]` each.

    The gradient g of sum_n w_n objective_n is linear in w, and dg/dw_n is the gradient of the n-th objective.

    Args:
        objective: `[N]`; its graph is kept.
        parameters: with `MOST_NUMBERS` elements at most in all.

    Raises:
        NotLayerwiseError: if an operation between them cannot be differentiated twice.
    """
    weights = torch.ones_like(objective, requires_grad=True)
    found: dict[Tensor, Tensor] = {}
    try:
        gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
            weights @ objective, parameters, create_graph=True, allow_unused=True, retain_graph=True
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None:
                found[parameter] = objective.new_zeros(len(objective), *parameter.shape)
                continue
            columns = [_with_respect_to(weights, element) for element in gradient.flatten().unbind()]
            found[parameter] = torch.stack(columns, -1).view(-1, *parameter.shape)
    except RuntimeError as reason:
        raise NotLayerwiseError(f"a parameter is reached around the layers, and not twice: {reason}") from reason
    return found


def _with_respect_to(weights: Tensor, element: Tensor) -> Tensor:
    if not element.requires_grad:
        return torch.zeros_like(weights)
    # Behind an operation that is differentiable once, the weights seem to be unused: that is an error, no zero.
    (found,) = torch.autograd.grad(element, weights, retain_graph=True)
    return found
