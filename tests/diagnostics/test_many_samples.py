"""The bound of very many samples: its chunks, its budget, and the difference that spares most of the data."""

import re

import pytest
import torch
from tests.models.small import bits, discrete, gaussian
from tests.statistics import LIMIT

from reparam_suite.diagnostics import bound_of_many_samples, bounds_of_samples
from reparam_suite.diagnostics.memory import peak_bytes
from reparam_suite.objectives import held_out_bounds

CPU = torch.device("cpu")


def test_chunks_of_any_size_give_the_bound_of_one_chunk():
    model, x = gaussian().double(), bits(4, 12).double()
    table = torch.randn(60, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    class Tabled:
        prior_distribution, log_likelihood = model.prior_distribution, model.log_likelihood

        def posterior_of(self, x):
            q, left = model.posterior_of(x), list(table)
            q.sample = lambda shape: q.mean + q.stddev * torch.stack([left.pop(0) for _ in range(*shape)])
            return q

    whole = held_out_bounds(Tabled(), x, 60)
    for samples in (1, 7, 59):
        chunked = held_out_bounds(Tabled(), x, 60, max_elements=samples * x.numel())
        for name, value in whole.items():
            torch.testing.assert_close(chunked[name], value, rtol=1e-12, atol=1e-12)


def test_chunks_fit_into_the_budget_and_a_larger_one_changes_nothing_but_the_noise():
    model, x = gaussian(num_features=40, hidden_sizes=(50,)), bits(120, 40)
    budget = 300_000
    tight = bounds_of_samples(model, x, 400, memory_budget=budget)
    assert tight.shape == (120,)
    held = peak_bytes(lambda: bounds_of_samples(model, x, 400, memory_budget=budget), CPU)
    assert held < 1.5 * budget
    assert peak_bytes(lambda: bounds_of_samples(model, x, 400), CPU) > 5 * budget
    assert torch.equal(bounds_of_samples(model, x, 400, memory_budget=budget), tight), "its own noise, always the same"
    free = bounds_of_samples(model, x, 400)
    apart = tight - free
    assert apart.mean().abs() < LIMIT * apart.std() / 120**0.5
    assert apart.abs().max() > 0.0


def test_a_budget_too_small_for_one_datum_names_the_smallest_that_works():
    model, x = gaussian(num_features=40, hidden_sizes=(50,)), bits(120, 40)
    with pytest.raises(ValueError, match="the smallest that works is") as refused:
        bounds_of_samples(model, x, 3, memory_budget=10)
    smallest = int(re.search(r"works is ([\d,]+)", str(refused.value))[1].replace(",", ""))
    assert bounds_of_samples(model, x, 3, memory_budget=smallest).shape == (120,)
    with pytest.raises(ValueError, match="the smallest that works is"):
        bounds_of_samples(model, x, 3, memory_budget=smallest - 1)


def test_the_difference_on_some_data_tells_the_bound_on_all_of_them():
    model, x = discrete(), bits(300, 12)
    of_few, of_many = (bounds_of_samples(model, x, K) for K in (5, 200))
    whole = bound_of_many_samples(model, x, 200, num_data=300, few_samples=5, bound_of_few=of_few.mean())
    assert torch.equal(whole.value, of_many.mean())
    assert whole.standard_error == 0.0
    part = bound_of_many_samples(model, x, 200, num_data=100, few_samples=5, bound_of_few=of_few.mean())
    assert (part.value - whole.value).abs() < LIMIT * part.standard_error
    assert part.standard_error < 0.2 * of_many.std() / 10, "far better than the mean over the hundred"
    with pytest.raises(ValueError, match="num_data must be at least 2 for a standard error, got 1"):
        bound_of_many_samples(model, x, 200, num_data=1, few_samples=5, bound_of_few=of_few.mean())


def test_nothing_of_the_model_or_of_the_random_state_moves():
    model, x = discrete(), bits(10, 12)
    model.likelihood.network.eval()
    before, state = {name: each.training for name, each in model.named_modules()}, torch.get_rng_state()
    bounds_of_samples(model, x, 7)
    assert {name: each.training for name, each in model.named_modules()} == before
    assert torch.equal(torch.get_rng_state(), state)
