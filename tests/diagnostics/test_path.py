"""The moving variance along the training path."""

import pytest
import torch
from torch import nn

from reparam_suite.diagnostics import PathVariance


def test_path_variance_is_that_of_weighted_moments():
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(4))]
    watched = PathVariance(parameters, decay=0.9)
    assert torch.isnan(watched.value())
    gradients = torch.randn(25, 10)
    for step, gradient in enumerate(gradients):
        for parameter, part in zip(parameters, gradient.split([6, 4]), strict=True):
            parameter.grad = part.reshape(parameter.shape).clone()
        watched.update()
        weights = 0.9 ** torch.arange(step, -1, -1.0)
        weights = (weights / weights.sum()).unsqueeze(-1)
        seen = gradients[: step + 1]
        by_hand = (weights * seen.square()).sum(0) - (weights * seen).sum(0).square()
        torch.testing.assert_close(watched.value(), by_hand.mean().double(), rtol=1e-4, atol=1e-6)
    resumed = PathVariance(parameters, decay=0.9)
    resumed.load_state_dict(watched.state_dict())
    for variance in (watched, resumed):
        variance.update()
    assert torch.equal(resumed.value(), watched.value())


def test_path_variance_of_independent_gradients_is_their_variance():
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.zeros(2_000))
    watched = PathVariance([parameter])
    for _ in range(3_000):
        parameter.grad = 1.5 + 0.5 * torch.randn(2_000)
        watched.update()
    assert float(watched.value()) == pytest.approx(0.25, rel=0.01)


def test_a_parameter_without_a_gradient_counts_as_zero_and_frozen_ones_are_left_out():
    parameters = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1), requires_grad=False)]
    watched = PathVariance(parameters, decay=0.5)
    watched.update()
    parameters[0].grad = torch.ones(1)
    watched.update()
    # Weights 1/3 and 2/3 on 0 and 1.
    assert float(watched.value()) == pytest.approx(2 / 9)


def test_bad_arguments_are_refused():
    with pytest.raises(
        ValueError, match=r"decay of PathVariance: expected a finite number of at least 0 and below 1, got 1.0"
    ):
        PathVariance([nn.Parameter(torch.zeros(1))], decay=1.0)
    with pytest.raises(ValueError, match="at least one trained parameter"):
        PathVariance([])
    saved = PathVariance([nn.Parameter(torch.zeros(2))]).state_dict()
    with pytest.raises(ValueError, match="state of PathVariance: expected shapes"):
        PathVariance([nn.Parameter(torch.zeros(1))]).load_state_dict(saved)
