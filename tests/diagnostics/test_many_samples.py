"""The bound of very many samples: its chunks, its budget, and the difference that spares most of the data."""

import math
import re
from types import SimpleNamespace

import pytest
import torch
from tests.statistics import LIMIT

from reparam_suite.diagnostics import bound_of_many_samples, bounds_of_samples
from reparam_suite.diagnostics.many_samples import importance_bound
from reparam_suite.diagnostics.memory import peak_bytes
from reparam_suite.models import DiscreteVAE, GaussianVAE

CPU = torch.device("cpu")
SIZES = {"event_shape": (12,), "latent_size": 3, "hidden_sizes": (7,)}


def bits(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)).round()


def test_chunks_of_any_size_give_the_bound_of_one_chunk():
    model, x = GaussianVAE(**SIZES).double(), bits(4, 12).double()
    table = torch.randn(60, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def bound(chunk: int) -> torch.Tensor:
        q, left = model.posterior(x), list(table)
        q.sample = lambda shape: q.mean + q.stddev * torch.stack([left.pop(0) for _ in range(*shape)])
        tabled = SimpleNamespace(posterior=lambda _: q, prior=model.prior, log_likelihood=model.log_likelihood)
        return importance_bound(tabled, x, 60, chunk)

    q = model.posterior(x)
    z = q.mean + q.stddev * table
    log_weights = model.log_likelihood(x, z) + model.prior().log_prob(z) - q.log_prob(z)
    for chunk in (1, 7, 59, 60, 100):
        torch.testing.assert_close(bound(chunk), log_weights.logsumexp(0) - math.log(60), rtol=1e-12, atol=1e-12)


def test_layers_above_are_drawn_once_for_each_sample():
    """Against the exact log p(x), from all states of both layers."""
    model, x = DiscreteVAE(**SIZES | {"latent_size": 2}, num_layers=2).double(), bits(3, 12).double()
    states = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    above = model.prior.likelihood(states).log_prob(states.unsqueeze(1)) + model.prior.prior().log_prob(states)
    joint = model.likelihood(states).log_prob(x.unsqueeze(1).expand(3, 4, 12)) + above.logsumexp(-1)
    exact = joint.logsumexp(-1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = torch.stack([importance_bound(model, x, 1, 1) for _ in range(4_000)]).exp()
    error = drawn.std(0) / 4_000**0.5
    assert ((drawn.mean(0) - exact.exp()).abs() < LIMIT * error).all()


def test_chunks_fit_into_the_budget_and_a_larger_one_changes_nothing_but_the_noise():
    model, x = GaussianVAE(event_shape=(40,), latent_size=3, hidden_sizes=(50,)), bits(120, 40)
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
    model, x = GaussianVAE(event_shape=(40,), latent_size=3, hidden_sizes=(50,)), bits(120, 40)
    with pytest.raises(ValueError, match="memory_budget: expected at least") as refused:
        bounds_of_samples(model, x, 3, memory_budget=10)
    smallest = int(re.search(r"at least ([\d,]+)", str(refused.value))[1].replace(",", ""))
    assert bounds_of_samples(model, x, 3, memory_budget=smallest).shape == (120,)
    with pytest.raises(ValueError, match="memory_budget: expected at least"):
        bounds_of_samples(model, x, 3, memory_budget=smallest - 1)


def test_the_difference_on_some_data_tells_the_bound_on_all_of_them():
    with torch.random.fork_rng():
        torch.manual_seed(0)  # how far it is better depends on the weights
        model, x = DiscreteVAE(**SIZES), bits(300, 12)
    of_few, of_many = (bounds_of_samples(model, x, K) for K in (5, 200))
    whole = bound_of_many_samples(model, x, 200, num_data=300, few_samples=5, bound_of_few=of_few.mean())
    assert torch.equal(whole.value, of_many.mean())
    assert whole.standard_error == 0.0
    part = bound_of_many_samples(model, x, 200, num_data=100, few_samples=5, bound_of_few=of_few.mean())
    assert (part.value - whole.value).abs() < LIMIT * part.standard_error
    assert part.standard_error < 0.2 * of_many.std() / 10, "far better than the mean over the hundred"
    with pytest.raises(ValueError, match="num_data: expected at least 2, for a standard error, got 1"):
        bound_of_many_samples(model, x, 200, num_data=1, few_samples=5, bound_of_few=of_few.mean())


def test_nothing_of_the_model_or_of_the_random_state_moves():
    model, x = DiscreteVAE(**SIZES), bits(10, 12)
    model.likelihood.network.eval()
    before, state = {name: module.training for name, module in model.named_modules()}, torch.get_rng_state()
    bounds_of_samples(model, x, 7)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert torch.equal(torch.get_rng_state(), state)
