"""Training of what an estimator learns; its effect on a comparison is in test_compare.py."""

import torch

from reparam_suite.comparison.estimator_training import train
from reparam_suite.estimators import REBAR, DisARM
from reparam_suite.models import DiscreteVAE


def test_only_the_estimator_moves_and_the_cost_is_counted():
    torch.manual_seed(0)
    model, x = DiscreteVAE(event_shape=(6,), latent_size=3, hidden_sizes=(5,)), (torch.rand(20, 6) < 0.4).float()
    own, before = model.estimator, {name: value.clone() for name, value in model.named_parameters()}
    estimator = REBAR(num_samples=2)
    start = [parameter.clone() for parameter in estimator.parameters()]
    cost = train(model, estimator, [x, 1.0 - x, x])
    assert (cost.steps, cost.evaluations) == (3, 3 * estimator.evaluations(model.expectation(x).q))
    assert cost.milliseconds > 0.0
    moved = [not torch.equal(*pair) for pair in zip(start, estimator.parameters(), strict=True)]
    assert any(moved)
    assert all(parameter.grad is None for parameter in [*estimator.parameters(), *model.parameters()])
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())
    assert model.estimator is own
    assert model.training


def test_what_has_no_parameters_costs_its_evaluations_alone():
    model, x = DiscreteVAE(event_shape=(6,), latent_size=3, hidden_sizes=(5,)), torch.zeros(4, 6)
    assert train(model, DisARM(), [x] * 2).evaluations == 4
    assert train(model, DisARM(), []).steps == 0
