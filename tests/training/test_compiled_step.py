"""Which steps are taken compiled, and when a step is compiled."""

import pytest
import torch
from tests.training.small import gaussian

from reparam_suite.objectives import ELBO
from reparam_suite.training import compiled_step
from reparam_suite.training.compiled_step import Compilation

BATCH = (torch.arange(6 * 64).reshape(6, 64) % 3 == 0).float()


@pytest.fixture
def taken(monkeypatch):
    """A model and its optimizer after a first step, what compiles its steps, and what that has told."""
    monkeypatch.setattr(compiled_step, "compiled", lambda graph, inputs, options: graph)

    def make(**options):
        model, told = gaussian(**options), []
        optimizer = model.configure_optimizers()
        compilation = Compilation(model, {}, told=lambda reason, seconds: told.append(reason))

        def uncompiled(batch, *, odd=False):
            compilation.before(batch, optimizer, None, odd=odd)
            optimizer.zero_grad()
            model.training_step(batch, 0)["loss"].backward()
            optimizer.step()
            model._loaded_steps += 1
            compilation.after()
            return compilation.takes(batch, optimizer)

        return model, optimizer, compilation, uncompiled, told

    return make


def test_the_second_step_is_taken_both_ways_and_the_third_compiled(taken):
    model, optimizer, compilation, uncompiled, told = taken()
    assert not uncompiled(BATCH)
    assert told == []
    assert uncompiled(BATCH)
    assert told == [None]
    before = [parameter.clone() for parameter in model.parameters()]
    outputs = compilation.step(BATCH)
    assert list(outputs) == ["loss", "objective", "kl"]
    assert not any(map(torch.equal, before, model.parameters()))
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not compilation.takes(BATCH[:4], optimizer), "a batch of another size"
    optimizer.param_groups[0]["lr"] = 0.5
    assert not compilation.takes(BATCH, optimizer), "another learning rate"


def test_a_rate_on_a_schedule_is_an_input_and_steps_at_a_rate_of_zero_are_not_compiled(taken):
    model, optimizer, compilation, uncompiled, told = taken()
    compilation.rates_change = True
    (group,) = optimizer.param_groups
    assert not uncompiled(BATCH)
    group["lr"] = 0.0
    assert not uncompiled(BATCH)
    assert told == []
    group["lr"] = 0.1
    assert uncompiled(BATCH)
    group["lr"] = 1e-12
    assert compilation.takes(BATCH, optimizer)
    before = [parameter.clone() for parameter in model.parameters()]
    compilation.step(BATCH)
    assert all(torch.allclose(was, now, atol=1e-9) for was, now in zip(before, model.parameters(), strict=True))
    group["lr"] = 0.0
    assert not compilation.takes(BATCH, optimizer)


def test_a_graph_that_the_compiler_does_not_take_is_told(taken, monkeypatch):
    def fail(graph, inputs, options):
        raise AssertionError("memo\n disaster")

    *_, uncompiled, told = taken()
    monkeypatch.setattr(compiled_step, "compiled", fail)
    assert [uncompiled(BATCH) for _ in range(3)] == [False] * 3
    assert told == ["the compiler ends with AssertionError: memo disaster"]


def test_an_odd_batch_is_not_compiled_for(taken):
    _, optimizer, compilation, uncompiled, told = taken()
    assert not uncompiled(BATCH)
    assert not uncompiled(BATCH[:4], odd=True)
    assert told == []
    assert uncompiled(BATCH)
    assert not compilation.takes(BATCH[:4], optimizer)


def test_nothing_is_compiled_while_the_weight_rises(taken):
    *_, uncompiled, told = taken(objective=ELBO(warmup_steps=3))
    assert [uncompiled(BATCH) for _ in range(4)] == [False, False, False, True]
    assert told == [None]
