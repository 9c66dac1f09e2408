"""Statistics of gradients that are at hand: variances, their standard errors, sums over shards."""

import math

import pytest
import torch
from tests.diagnostics.cases import CASES, data
from tests.statistics import LIMIT

from reparam_suite.diagnostics import data_variance
from reparam_suite.diagnostics.bias import bias_sums
from reparam_suite.diagnostics.datumwise import datumwise_sums
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.diagnostics.reference import ReferenceGradient
from reparam_suite.diagnostics.statistics import (
    GradientSums,
    add,
    averaged,
    from_draws,
    moments_of_draws,
    sums_of_moments,
    trace_of,
)


def test_sums_of_shards_are_the_sums_of_the_whole():
    model, x = CASES[-1].model(), data(5)
    with torch.random.fork_rng(), measuring(model):
        torch.manual_seed(1)
        shards = [datumwise_sums(model, part, 4, per_element=True) for part in x.split([2, 3])]
        torch.manual_seed(1)
        whole = datumwise_sums(model, x, 4, per_element=True)
    for name, sums in whole.items():
        merged = add([shard[name] for shard in shards])
        assert isinstance(merged, GradientSums)
        ours, theirs = vars(merged.statistics()), vars(sums.statistics())
        assert {ours.pop("road"), theirs.pop("road")} == {"layer by layer"}
        assert ours.pop("off") == theirs.pop("off") == ()
        for one, other in zip(ours.values(), theirs.values(), strict=True):
            torch.testing.assert_close(one, other)


def test_statistics_of_known_draws():
    torch.manual_seed(0)
    draws = torch.randn(7, 4, 3, dtype=torch.float64)
    statistics = from_draws([draws[:, :2], draws[:, 2:]], per_element=True)
    by_hand = draws.var(0)
    torch.testing.assert_close(statistics.variance, by_hand.sum())
    torch.testing.assert_close(torch.cat(statistics.element_variances), by_hand)
    torch.testing.assert_close(statistics.squared_norm, draws.mean(0).square().sum() - by_hand.sum() / 7)


@pytest.mark.parametrize("size", [1e-8, 1e12])
def test_gradients_of_any_size_that_float32_holds_have_their_statistics(size):
    """Those of data of the order of 1e6 have squared squares of 1e48."""
    torch.manual_seed(0)
    groups, draws = torch.randn(5, 3, 4, 6), torch.randn(7, 6)  # of groups, data, repeats; of a whole batch
    noise = torch.randn(groups.shape)

    def measured(scale: float) -> list[torch.Tensor]:
        sums = [sums_of_moments({"part": moments_of_draws([scale * gradients])})["part"] for gradients in groups]
        rounds = [{"part": of_round} for of_round in sums[:3]]
        truth = scale * noise[0, 0, 0]
        reference = ReferenceGradient(gradient=truth, variance=torch.zeros(()), estimator="", exact=True)
        bias = bias_sums(rounds, {"part": reference})["part"].bias()
        fields = [
            add(sums).statistics(),
            from_draws([scale * draws]),
            averaged([of_round.statistics() for of_round in sums]),
        ]
        squares = [
            getattr(statistics, name)
            for statistics in fields
            for name in ("variance", "standard_error", "squared_norm")
        ]
        between = data_variance(sums)
        squares += [fields[0].data_variance, between.value, between.standard_error]
        return [
            number.double() for number in (*squares, bias.squared_bias, bias.squared_bias_error, bias.cosine * scale**2)
        ]

    for one, scaled in zip(measured(1.0), measured(size), strict=True):
        assert torch.isfinite(scaled)
        torch.testing.assert_close(scaled / size**2, one, rtol=1e-4, atol=1e-5)


def test_the_error_of_a_variance_is_unbiased_and_its_floor_below_it():
    torch.manual_seed(0)
    # Skewed draws in two coordinates, and draws of constant length, where single draws say nothing and pairs all.
    skewed = torch.randn(40_000, 4, 2, dtype=torch.float64).exp() * torch.tensor([1.0, 0.3])
    angle = 2.0 * math.pi * torch.rand(40_000, 4, dtype=torch.float64)
    for draws in (skewed, torch.stack([angle.cos(), angle.sin()], -1)):
        trace = trace_of(draws @ draws.mT)
        true_variance = trace.value.var()
        kurtosis = (trace.value - trace.value.mean()).pow(4).mean() / true_variance.square()
        error = trace.squared_error.var().sqrt() / 200.0 + true_variance * (kurtosis / 40_000).sqrt()
        assert (trace.squared_error.mean() - true_variance).abs() < LIMIT * error
        assert 0.3 * true_variance < trace.least.mean() < 1.05 * true_variance
