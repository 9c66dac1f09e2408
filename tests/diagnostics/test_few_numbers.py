"""Gradients with respect to a few numbers against a backward pass for each objective."""

import pytest
import torch
from torch import nn

from reparam_suite.diagnostics.calls import NotLayerwiseError
from reparam_suite.diagnostics.few_numbers import gradients_of_few_numbers


def test_each_objective_has_the_gradient_of_its_own_backward_pass():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    shift = nn.Parameter(torch.tensor([[0.2, -0.4, 1.0]], dtype=torch.float64))
    unused = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    objective = ((x * scale.exp() + shift).sin() * x.cos() * scale).sum(-1)
    found = gradients_of_few_numbers(objective, [scale, shift, unused])
    assert [tuple(gradient.shape) for gradient in found.values()] == [(5,), (5, 1, 3), (5, 2)]
    for n in range(5):
        alone = torch.autograd.grad(objective[n], [scale, shift], retain_graph=True)
        torch.testing.assert_close(found[scale][n], alone[0])
        torch.testing.assert_close(found[shift][n], alone[1])
    assert not found[unused].any()


def test_what_enters_linearly_has_a_gradient_too():
    """Its gradient does not depend on the parameter itself."""
    x, bias = torch.tensor([1.0, -2.0, 4.0]), nn.Parameter(torch.tensor(3.0))
    found = gradients_of_few_numbers(x * bias, [bias])
    assert found[bias].tolist() == [1.0, -2.0, 4.0]


class Once(torch.autograd.Function):
    """A doubling that cannot be differentiated twice."""

    @staticmethod
    def forward(ctx, x):
        return 2.0 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2.0 * gradient


def test_an_operation_that_cannot_be_differentiated_twice_is_told():
    parameter = nn.Parameter(torch.ones(()))
    with pytest.raises(NotLayerwiseError, match="a parameter is reached around the layers, and not twice: "):
        gradients_of_few_numbers(torch.ones(3) * Once.apply(parameter), [parameter])
