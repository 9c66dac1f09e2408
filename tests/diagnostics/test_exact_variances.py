"""Variances that are known in closed form, by the code path that runs in training; and honest standard errors."""

import math
from collections.abc import Iterator
from typing import final

import pytest
import torch
from tests.diagnostics.cases import data
from tests.statistics import LIMIT
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.diagnostics import (
    GradientStatistics,
    Measurement,
    add,
    data_variance,
    gradient_statistics,
    gradient_sums,
    measuring,
    naive_gradient_statistics,
)
from reparam_suite.diagnostics.bias import bias_sums
from reparam_suite.diagnostics.reference import ReferenceGradient
from reparam_suite.diagnostics.statistics import averaged, from_draws, moments_of_draws, sums_of_moments, trace_of
from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, GradientEstimator, Pathwise, ScoreFunction
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.problems import ToyGaussian
from reparam_suite.training.gradients import gradient_metrics, say_that_it_is_beyond

TOY = ToyGaussian()


@final
class ToyModel(nn.Module):
    """E_{N(phi, 1)}[theta z^2], phi and theta given by layers that see nothing; no VAE."""

    def __init__(self, estimator: GradientEstimator) -> None:
        super().__init__()
        self.estimator = estimator
        self.encoder = nn.Linear(1, 1)
        self.decoder = nn.Linear(1, 1)
        self.encoder.bias.data = TOY.phi.clone()
        self.decoder.bias.data = TOY.theta.clone()
        self.double()

    def expectation(self, x: Tensor) -> Expectation:
        loc = self.encoder(x)
        return Expectation(q=normal(loc, torch.ones_like(loc)), f=self.f)

    def f(self, z: Tensor, q: Distribution) -> Tensor:
        return self.decoder(torch.zeros_like(z)).squeeze(-1) * z.squeeze(-1).square()


@pytest.mark.parametrize(
    ("estimator", "exact"),
    [(ScoreFunction(), TOY.variance_of_score_function()), (Pathwise(), TOY.variance_of_pathwise())],
    ids=["score function", "pathwise"],
)
def test_closed_forms_of_the_toy_problem(estimator: GradientEstimator, exact: float):
    model, B = ToyModel(estimator), 20_000
    with torch.random.fork_rng():
        torch.manual_seed(0)
        statistics = gradient_statistics(model, torch.zeros(B, 1, dtype=torch.float64), 20)
    encoder, loc, decoder = statistics["encoder"], statistics["loc"], statistics["decoder"]
    assert B * encoder.variance == pytest.approx(exact, rel=0.03)
    assert B * loc.variance == pytest.approx(exact, rel=0.03)
    assert abs(B * encoder.variance - exact) < LIMIT * B * encoder.standard_error < LIMIT * 0.02 * exact
    # |E g| is 2 phi; z^2 has the mean phi^2 + 1 and the variance 4 phi^2 + 2.
    assert encoder.squared_norm == pytest.approx(16.0, rel=0.03)
    assert encoder.snr == pytest.approx(16.0 * B / exact, rel=0.03)
    assert loc.squared_norm == pytest.approx(16.0 / B, rel=0.03)
    assert decoder.squared_norm == pytest.approx(25.0, rel=0.03)
    assert B * decoder.variance == pytest.approx(18.0, rel=0.03)


def measured_anew(model, x: Tensor, num_repeats: int, num_seeds: int) -> Iterator[dict[str, GradientStatistics]]:
    """Statistics with the noise of each seed; the layers, which stay as they are, are looked at once."""
    with measuring(model):
        measurement = Measurement(model, x)
    for seed in range(num_seeds):
        torch.manual_seed(seed)  # a measurement starts from the random state that it finds, and leaves it as it was
        sums = gradient_sums(model, x, num_repeats, measurement=measurement)
        yield {name: each.statistics() for name, each in sums.items()}


@pytest.mark.slow
@pytest.mark.parametrize("num_repeats", [4, 8])
@pytest.mark.parametrize(
    ("cls", "estimator"), [(GaussianVAE, Pathwise()), (DiscreteVAE, ScoreFunction())], ids=["gaussian", "discrete"]
)
def test_standard_errors_cover_the_truth_as_often_as_they_promise(cls, estimator, num_repeats: int):
    torch.manual_seed(3)
    model = cls(event_shape=(6,), latent_size=2, hidden_sizes=(5,), estimator=estimator).double()
    x = data(40)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        truth = gradient_statistics(model, x.repeat(200, 1), 50)
        measured = list(measured_anew(model, x, num_repeats, 300))
    for name, exact in truth.items():
        scale = 200.0  # the truth is that of a minibatch with 200 copies of each datum
        variances = torch.stack([each[name].variance for each in measured])
        errors = torch.stack([each[name].standard_error for each in measured])
        z = (variances - scale * exact.variance) / errors
        # 95 % of a normal. A variance is skewed, and a standard error from few draws is itself noisy.
        assert 0.87 <= (z.abs() < 1.96).double().mean() <= 0.99, name
        squares = (variances - variances.mean()).square()
        noise = ((squares.var() + errors.square().var()) / 300).sqrt()
        assert (errors.square().mean() - squares.mean()).abs() < LIMIT * noise, name
        bias = (variances.mean() - scale * exact.variance) / (variances.var() / 300).sqrt()
        assert bias.abs() < LIMIT, name


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
        sums = [sums_of_moments({"part": moments_of_draws([scale * each])})["part"] for each in groups]
        rounds = [{"part": each} for each in sums[:3]]
        truth = scale * noise[0, 0, 0]
        reference = ReferenceGradient(gradient=truth, variance=torch.zeros(()), estimator="", exact=True)
        bias = bias_sums(rounds, {"part": reference})["part"].bias()
        fields = [add(sums).statistics(), from_draws([scale * draws]), averaged([each.statistics() for each in sums])]
        squares = [getattr(each, name) for each in fields for name in ("variance", "standard_error", "squared_norm")]
        between = data_variance(sums)
        squares += [fields[0].data_variance, between.value, between.standard_error]
        return [
            each.double() for each in (*squares, bias.squared_bias, bias.squared_bias_error, bias.cosine * scale**2)
        ]

    for one, scaled in zip(measured(1.0), measured(size), strict=True):
        assert torch.isfinite(scaled)
        torch.testing.assert_close(scaled / size**2, one, rtol=1e-4, atol=1e-5)


def test_a_gradient_beyond_its_numbers_is_said_once_and_not_recorded(caplog):
    say_that_it_is_beyond.cache_clear()
    torch.manual_seed(0)
    measured = {name: from_draws([scale * torch.randn(7, 6)]) for name, scale in (("huge", 1e30), ("plain", 1.0))}
    with caplog.at_level("WARNING"):
        for _ in range(2):
            assert {name.split("/")[1] for name in gradient_metrics(measured)} == {"plain"}
    assert [record.getMessage() for record in caplog.records] == [
        "grad/huge: its size is beyond what float32 holds, and is not recorded; scale the data down"
    ]


def test_no_noise_is_no_variance():
    model = GaussianVAE(event_shape=(6,), latent_size=2, hidden_sizes=(5,)).double()
    model.likelihood.network[
        0
    ].weight.data.zero_()  # the decoder ignores z: the encoder's gradient is that of the KL alone
    for statistics in (gradient_statistics(model, data(4)), naive_gradient_statistics(model, data(4), 5)):
        assert statistics["encoder"].squared_norm > 0.0
        assert statistics["encoder"].variance < 1e-20


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
