"""The budget is kept, and one that is too small names the smallest that works."""

import re

import pytest
import torch
from tests.diagnostics.own_estimators import ThroughTheGradient
from tests.statistics import LIMIT
from torch import nn

from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.diagnostics.memory import graph_bytes, peak_bytes
from reparam_suite.estimators import LogMeanExp, StickTheLanding
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ImportanceWeighted

CPU = torch.device("cpu")
MODELS = {
    "gaussian": lambda: GaussianVAE(event_shape=(80,), latent_size=10, hidden_sizes=(50, 40)),
    "discrete": lambda: DiscreteVAE(event_shape=(80,), latent_size=20, hidden_sizes=(50,)),
    "many samples, and a layer that is run by itself": lambda: GaussianVAE(
        event_shape=(80,),
        latent_size=10,
        hidden_sizes=(50,),
        decoder=nn.Sequential(nn.Linear(10, 50), nn.LayerNorm(50), nn.SiLU(), nn.Linear(50, 80)),
        objective=ImportanceWeighted(bound=LogMeanExp()),
        estimator=StickTheLanding(num_samples=20),
    ),
    "datum by datum": lambda: GaussianVAE(event_shape=(80,), hidden_sizes=(50,), estimator=ThroughTheGradient()),
}


def smallest(model: VAE, x: torch.Tensor, num_repeats: int) -> int:
    with pytest.raises(ValueError, match=r"memory_budget: expected .* of one datum, got 1,000$") as error:
        gradient_statistics(model, x, num_repeats, memory_budget=1_000)
    return int(re.search(r"expected at least ([\d,]+) bytes", str(error.value))[1].replace(",", ""))


@pytest.mark.parametrize("num_repeats", [4, 12])
@pytest.mark.parametrize("per_element", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_peak_stays_within_the_budget(name: str, per_element: bool, num_repeats: int):
    torch.manual_seed(0)
    model, x = MODELS[name](), torch.rand(20, 80).round()
    least = smallest(model, x, num_repeats)
    with pytest.raises(ValueError, match=f"{least:,}"):
        gradient_statistics(model, x, num_repeats, memory_budget=least - 1)
    for budget in (least, 2 * least, 2**30):
        peak = peak_bytes(
            lambda budget=budget: gradient_statistics(
                model, x, num_repeats, per_element=per_element, memory_budget=budget
            ),
            CPU,
        )
        assert peak <= budget, f"{peak:,} of {budget:,}"


def test_portions_measure_the_same():
    torch.manual_seed(0)
    model, x = MODELS["discrete"]().double(), torch.rand(20, 80, dtype=torch.float64).round()
    least = smallest(model, x, 50)
    with torch.random.fork_rng():
        whole = gradient_statistics(model, x, 50)
        torch.manual_seed(1)
        portions = gradient_statistics(model, x, 50, memory_budget=least)
    for name, one in whole.items():
        other = portions[name]
        error = (one.standard_error.square() + other.standard_error.square()).sqrt()
        assert 0.0 < (one.variance - other.variance).abs() < LIMIT * error


def test_what_a_forward_pass_keeps_is_counted_once():
    weight, x = torch.randn(30, 20, requires_grad=True), torch.randn(10, 20)
    # The hidden layer, kept by its own tanh and by the product that follows.
    assert graph_bytes(lambda: (x @ weight.T).tanh().square().sum()) == 10 * 30 * 4 + 4  # and the sum


def test_the_peak_is_that_of_live_tensors():
    def computation() -> None:
        first = torch.zeros(1000)
        second = first + 1.0
        del first
        third = second[:500] * 2.0  # after the peak: second and third are smaller than first and second
        del second, third

    assert peak_bytes(computation, CPU) == 8_000
