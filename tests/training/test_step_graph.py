"""A training step as a graph: its inputs and outputs, and what is refused, with the reason."""

import pytest
import torch
from tests.training.small import gaussian

from reparam_suite.estimators import (
    RELAX,
    Enumeration,
    GumbelRao,
    LocalExpectation,
    Quadrature,
    SumAndSample,
    UnorderedSet,
)
from reparam_suite.models import DiscreteVAE, OptimizerSettings
from reparam_suite.training.step_graph import StepGraph, Untraceable, hyperparameters_of, tensors_of, with_tensors

BATCH = (torch.arange(6 * 64).reshape(6, 64) % 3 == 0).float()


def stepped(model, batch=BATCH):
    """The model's optimizer after a step, so that it has a state."""
    model.materialize(batch)
    optimizer = model.configure_optimizers()
    model.training_step(batch, 0)["loss"].backward()
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


def test_it_changes_parameters_and_state_in_place_and_returns_outputs_and_gradients():
    model = gaussian()
    optimizer = stepped(model)
    graph = StepGraph(model, optimizer, BATCH, None)
    assert graph.names == ["loss", "objective", "kl"]
    inputs = graph.current_inputs()
    assert "the optimizer's exp_avg of posterior.network.0.weight" in graph.input_names
    weight = next(model.parameters())
    before, noise = weight.clone(), torch.get_rng_state()
    with torch.no_grad():
        loss, _, _, *gradients = graph.graph(*inputs, BATCH)
    after = weight.clone()
    with torch.no_grad():
        weight.copy_(before)
    torch.set_rng_state(noise)
    assert len(gradients) == len(graph.trained) == len(list(model.parameters()))
    assert not torch.equal(after, before)
    assert loss.shape == ()


@pytest.mark.parametrize(
    "estimator", [Enumeration(), GumbelRao(), LocalExpectation(), RELAX(), SumAndSample(num_samples=3), UnorderedSet()]
)
def test_estimators_of_every_kind_are_traced(estimator):
    model = DiscreteVAE(event_shape=(64,), latent_size=3, hidden_sizes=(7,), estimator=estimator)
    assert StepGraph(model, stepped(model), BATCH, None).names[0] == "loss"


def test_quadrature_is_traced():
    model = gaussian(estimator=Quadrature(), latent_size=2)
    assert StepGraph(model, stepped(model), BATCH, None).names[0] == "loss"


OPTIMIZERS = ["Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "RMSprop", "SGD", "ASGD"]


@pytest.mark.parametrize("rates_change", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_step_of_an_optimizer_is_the_step_that_it_takes(name, rates_change):
    model = gaussian(optimizer=OptimizerSettings(name=name, learning_rate=1e-2))
    optimizer = stepped(model)
    graph = StepGraph(model, optimizer, BATCH, None, rates_change=rates_change)
    if rates_change:
        optimizer.param_groups[0]["lr"] = 3e-3
    traced = [tensor.clone() for tensor in graph.current_inputs()]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        with torch.no_grad():
            graph.graph(*traced, *graph.current_rates(), BATCH)
        torch.manual_seed(1)
        model.training_step(BATCH, 0)["loss"].backward()
        optimizer.step()
    for name_of, found, expected in zip(graph.input_names, traced, graph.current_inputs(), strict=True):
        torch.testing.assert_close(found, expected, rtol=2e-5, atol=1e-7, msg=name_of)


class Counting(torch.nn.Module):
    """A module that counts its calls in a Python number."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [("global_step", "the step asks for self.global_step"), ("log", "the step asks for self.log")],
)
def test_a_step_that_asks_for_its_number_or_logs_is_refused(attribute, reason):
    class Asks(type(gaussian())):
        def recorded(self, target):
            getattr(self, attribute)
            return super().recorded(target)

    model = gaussian()
    optimizer = stepped(model)
    model.__class__ = Asks
    with pytest.raises(Untraceable, match=reason):
        StepGraph(model, optimizer, BATCH, None)
    assert type(model) is Asks


def test_a_module_that_counts_in_python_is_refused():
    model = gaussian()
    model.posterior.network.append(Counting())
    optimizer = stepped(model)
    with pytest.raises(Untraceable, match=r"posterior.network.\d.calls, which is no tensor, changes in a step"):
        StepGraph(model, optimizer, BATCH, None)


def test_tensors_of_a_batch_go_out_and_come_back_in_their_places():
    one, two, three = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    batch = (one, {"a": two, "b": [three]})
    assert tensors_of(batch) == [one, two, three]
    moved = with_tensors(batch, iter([three, one, two]))
    assert moved == (three, {"a": one, "b": [two]})
    with pytest.raises(Untraceable, match="a batch has a member that is no tensor, str"):
        tensors_of((one, "name"))


def test_a_changed_learning_rate_is_another_constant():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    before = hyperparameters_of(optimizer)
    optimizer.param_groups[0]["lr"] = 0.01
    assert hyperparameters_of(optimizer) != before
