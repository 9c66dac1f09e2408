"""Private names of PyTorch: each does what `torch_internals` takes it to do."""

import pytest
import torch
from torch import nn

from reparam_suite.training.torch_internals import as_while_compiling, bare_step, has_compiler, traced


@pytest.mark.parametrize("cls", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
def test_the_bare_step_is_the_step(cls):
    ends = []
    for bare in (True, False):
        parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer = cls([parameter], lr=0.1)
        step = bare_step(optimizer) if bare else optimizer.step
        assert (step == optimizer.step) is not bare, "it is another function, or there is nothing to gain"
        for _ in range(3):
            parameter.grad = parameter.detach() * 2.0
            step()
        ends.append(parameter.detach())
    assert torch.equal(*ends)


def test_hooks_and_other_steps_are_respected():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    handle = optimizer.register_step_pre_hook(lambda *_: None)
    assert bare_step(optimizer) == optimizer.step
    handle.remove()
    assert bare_step(optimizer) != optimizer.step
    optimizer.step = lambda: None
    assert bare_step(optimizer) is optimizer.step


def test_a_missing_compiler_is_found_out(monkeypatch):
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    def none():
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    assert not has_compiler(torch.device("cpu"))


def test_a_traced_function_is_one_graph_with_the_backward_pass_in_it():
    def step(weight, x):
        leaf = weight.detach().requires_grad_()
        loss = (leaf * x).square().sum()
        (gradient,) = torch.autograd.grad(loss, [leaf])
        with torch.no_grad():
            weight.sub_(gradient)
        return [loss.detach()]

    weight, x = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 1.0])
    graph = traced(step, [weight, x])
    assert torch.equal(weight, torch.tensor([1.0, 2.0])), "tracing changes nothing"
    (loss,) = graph(weight, x)
    assert loss == 4.25
    assert torch.equal(weight, torch.tensor([0.5, -2.0]))
    with pytest.raises(RuntimeError, match="data-dependent"):
        traced(lambda value: [value * 2 if value.sum() > 0 else value], [x])


def test_optimizers_count_in_tensors_as_while_compiling():
    from torch.optim.optimizer import _get_value

    step = torch.tensor(3.0)
    assert _get_value(step) == 3.0
    assert isinstance(_get_value(step), float)
    with as_while_compiling():
        assert _get_value(step) is step
    assert isinstance(_get_value(step), float)
