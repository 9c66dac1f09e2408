"""Numbers that a graph reads from tensors, made tensors again."""

import torch

from reparam_suite.training.scalar_arguments import with_tensor_arguments
from reparam_suite.training.torch_internals import traced


def test_a_step_size_that_is_read_from_a_tensor_stays_one():
    def step(x, y, z, size):
        with torch.no_grad():
            x.add_(y, alpha=-size)
            x.addcdiv_(y, z, value=size)
        return [x.sum()]

    x, y, z, size = torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([4.0, 5.0]), torch.tensor(0.5)
    graph = traced(step, [x, y, z, size])
    assert with_tensor_arguments(graph)
    for rate in (0.5, 0.25):
        found, expected = torch.ones(2), torch.ones(2)
        graph(found, y, z, torch.tensor(rate))
        step(expected, y, z, rate)
        torch.testing.assert_close(found, expected)


def test_a_number_with_another_use_is_found():
    def step(x, size):
        with torch.no_grad():
            x.clamp_(max=size.item())
        return [x.sum()]

    assert not with_tensor_arguments(traced(step, [torch.ones(2), torch.tensor(0.5)]))
