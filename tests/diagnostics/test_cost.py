"""Cost of a gradient."""

import itertools
import time

import pytest
import torch

from reparam_suite.diagnostics import gradient_cost
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
        gradient_cost(DiscreteVAE(**sizes, estimator=estimator), x)
        for estimator in (ScoreFunction(num_samples=2, baseline=LeaveOneOut()), Enumeration())
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
