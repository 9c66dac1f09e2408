"""Cost of a gradient, and the moving variance along the training path."""

import itertools
import time

import pytest
import torch
from torch import nn

from reparam_suite.diagnostics import PathVariance, gradient_cost
from reparam_suite.estimators import Enumeration, Learned, LeaveOneOut, ScoreFunction
from reparam_suite.models import DiscreteVAE


@pytest.mark.parametrize(("num_threads", "milliseconds"), [(1, 3.0), (2, 5.0)])
def test_one_thread_is_timed_by_its_own_clock(num_threads: int, milliseconds: float, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: 0.003 * next(ticks))
    monkeypatch.setattr(time, "perf_counter", lambda: 0.005 * next(ticks))
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    model = DiscreteVAE(event_shape=(4,), latent_size=2, hidden_sizes=(3,))
    assert gradient_cost(model, torch.rand(2, 4).round()).milliseconds == pytest.approx(milliseconds)


def test_cost_counts_evaluations_time_and_memory():
    sizes = {"event_shape": (40,), "latent_size": 6, "hidden_sizes": (30,)}
    x = torch.rand(20, 40).round()
    torch.manual_seed(0)
    few, many = (
        gradient_cost(DiscreteVAE(**sizes, estimator=each), x)
        for each in (ScoreFunction(num_samples=2, baseline=LeaveOneOut()), Enumeration())
    )
    assert (few.evaluations, many.evaluations) == (2, 64)
    assert many.milliseconds > few.milliseconds > 0.0
    # 64 against 2 samples of 20 data, 40 numbers each, at the very least.
    assert many.peak_bytes - few.peak_bytes > 62 * 20 * 40 * 4
    assert few.normalized(3.0) == pytest.approx(3.0 * few.milliseconds)
    with pytest.raises(ValueError, match="num_timings: expected at least 1, got 0"):
        gradient_cost(DiscreteVAE(**sizes), x, num_timings=0)


def test_measuring_the_cost_leaves_a_learned_baseline_and_the_random_state_alone():
    model = DiscreteVAE(event_shape=(6,), latent_size=3, hidden_sizes=(5,), estimator=ScoreFunction(baseline=Learned()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, state = torch.rand(4, 6).round(), torch.get_rng_state()
    gradient_cost(model, x)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


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
    for each in (watched, resumed):
        each.update()
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
    with pytest.raises(ValueError, match=r"decay of PathVariance: expected a number in \[0, 1\), got 1.0"):
        PathVariance([nn.Parameter(torch.zeros(1))], decay=1.0)
    with pytest.raises(ValueError, match="at least one trained parameter"):
        PathVariance([])
    saved = PathVariance([nn.Parameter(torch.zeros(2))]).state_dict()
    with pytest.raises(ValueError, match="state of PathVariance: expected shapes"):
        PathVariance([nn.Parameter(torch.zeros(1))]).load_state_dict(saved)
