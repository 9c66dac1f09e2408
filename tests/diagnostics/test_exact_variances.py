"""Variances that are known in closed form, by the code path that runs in training; and honest standard errors."""

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
    gradient_statistics,
    gradient_sums,
    measuring,
    naive_gradient_statistics,
)
from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, GradientEstimator, Pathwise, ScoreFunction
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.problems import ToyGaussian

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
        yield {name: of_part.statistics() for name, of_part in sums.items()}


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
        variances = torch.stack([statistics[name].variance for statistics in measured])
        errors = torch.stack([statistics[name].standard_error for statistics in measured])
        z = (variances - scale * exact.variance) / errors
        # 95 % of a normal. A variance is skewed, and a standard error from few draws is itself noisy.
        assert 0.87 <= (z.abs() < 1.96).double().mean() <= 0.99, name
        squares = (variances - variances.mean()).square()
        noise = ((squares.var() + errors.square().var()) / 300).sqrt()
        assert (errors.square().mean() - squares.mean()).abs() < LIMIT * noise, name
        bias = (variances.mean() - scale * exact.variance) / (variances.var() / 300).sqrt()
        assert bias.abs() < LIMIT, name


def test_no_noise_is_no_variance():
    model = GaussianVAE(event_shape=(6,), latent_size=2, hidden_sizes=(5,)).double()
    model.likelihood.network[
        0
    ].weight.data.zero_()  # the decoder ignores z: the encoder's gradient is that of the KL alone
    for statistics in (gradient_statistics(model, data(4)), naive_gradient_statistics(model, data(4), 5)):
        assert statistics["encoder"].squared_norm > 0.0
        assert statistics["encoder"].variance < 1e-20
