"""Layers of other kinds, layers called several times, and gradients that go around the layers."""

import logging
from typing import final

import pytest
import torch
from tests.diagnostics.cases import CASES, Case, data
from tests.diagnostics.own_estimators import SeveralCalls
from tests.diagnostics.own_models import SIZES, around_the_layers
from tests.diagnostics.roads import ROUNDING, reference
from tests.statistics import LIMIT
from torch import Tensor, nn

from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.diagnostics.calls import NotLayerwiseError
from reparam_suite.diagnostics.layerwise import layerwise_sums
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.distributions import NormalLikelihood
from reparam_suite.estimators import DisARM, Pathwise
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE


def assert_exact(model: VAE, num_repeats: int = 4) -> None:
    x = data()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = reference(model, x, num_repeats)
        torch.manual_seed(2)
        with measuring(model):
            sums = layerwise_sums(model, x, num_repeats, per_element=True)
    for name, (variance, squared_norm, elements) in expected.items():
        got = sums[name].statistics()
        torch.testing.assert_close(got.variance, variance, rtol=ROUNDING, atol=ROUNDING)
        torch.testing.assert_close(got.squared_norm, squared_norm, rtol=ROUNDING, atol=ROUNDING)
        flat = torch.cat([variance.flatten() for variance in got.element_variances])
        torch.testing.assert_close(flat, elements, rtol=ROUNDING, atol=ROUNDING)


@final
class Flattened(nn.Module):
    """Runs a network that takes one leading axis on any number of them, as image networks do."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.reshape(-1, x.shape[-1])).unflatten(0, x.shape[:-1])


@final
class Gain(nn.Module):
    """A scale for each feature, and a layer of its own."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.randn(size))
        self.linear = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x * self.gain) * self.gain


def convolutional_encoder(num_outputs: int, **options: object) -> nn.Module:
    convolution = nn.Conv2d(1, 3, 2, stride=1, padding=1, **options)
    return Flattened(
        nn.Sequential(nn.Unflatten(-1, (1, 2, 3)), convolution, nn.Tanh(), nn.Flatten(), nn.LazyLinear(num_outputs))
    )


def convolutional_decoder(num_inputs: int) -> nn.Module:
    return Flattened(
        nn.Sequential(
            nn.Linear(num_inputs, 8),
            nn.Tanh(),
            nn.Unflatten(-1, (2, 2, 2)),
            nn.Conv2d(2, 2, 1, bias=False),
            nn.ConvTranspose2d(2, 1, (1, 2)),
            nn.Flatten(),
        )
    )


ENCODERS = {
    "convolution": lambda: convolutional_encoder(6),
    "circular convolution": lambda: convolutional_encoder(6, padding_mode="circular"),
    "gain": lambda: nn.Sequential(Gain(6), nn.Tanh(), nn.LayerNorm(6), nn.Linear(6, 6, bias=False)),
    "tokens": lambda: nn.Sequential(
        nn.Unflatten(-1, (3, 2)), nn.Linear(2, 4), nn.Tanh(), nn.Flatten(-2), nn.Linear(12, 6)
    ),
}
DECODERS = {
    "convolution": lambda: convolutional_decoder(3),
    "gain": lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), Gain(6)),
    "twice": lambda: (lambda layer: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), layer, nn.Tanh(), layer))(
        nn.Linear(6, 6)
    ),
    "tokens": lambda: nn.Sequential(
        nn.Unflatten(-1, (3, 1)), nn.Linear(1, 2), nn.Tanh(), nn.Flatten(-2), nn.Linear(6, 6)
    ),
    "frozen": lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 6)),
}


@pytest.mark.parametrize("num_samples", [1, 4, 7])
@pytest.mark.parametrize("decoder", DECODERS)
def test_decoders_of_every_kind_that_see_several_samples(decoder: str, num_samples: int):
    torch.manual_seed(0)
    model = GaussianVAE(**SIZES, likelihood=NormalLikelihood(), estimator=Pathwise(num_samples=num_samples))
    model.likelihood.network = DECODERS[decoder]()
    if decoder == "frozen":
        model.likelihood.network[0].weight.requires_grad_(False)
        model.likelihood.network[2].bias.requires_grad_(False)
    assert_exact(model.double())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encoders_of_every_kind(encoder: str):
    torch.manual_seed(0)
    model = GaussianVAE(**SIZES)
    model.posterior.network = ENCODERS[encoder]()
    model(data().float())  # gives lazy layers their shapes
    assert_exact(model.double())


@pytest.mark.parametrize("num_samples", [2, 4])
def test_antithetic_pairs(num_samples: int):
    torch.manual_seed(0)
    assert_exact(DiscreteVAE(**SIZES, estimator=DisARM(num_samples=num_samples)).double())


def test_many_rows_for_each_datum_take_the_road_of_explicit_gradients():
    torch.manual_seed(0)
    assert_exact(GaussianVAE(**SIZES, estimator=Pathwise(num_samples=40)).double())


def test_one_datum():
    torch.manual_seed(0)
    model = GaussianVAE(**SIZES).double()
    statistics = gradient_statistics(model, data(1), 5)
    assert statistics["encoder"].variance > 0.0
    assert torch.isnan(statistics["encoder"].data_variance)


def test_f_called_several_times_with_inner_gradients():
    torch.manual_seed(0)
    assert_exact(GaussianVAE(**SIZES, likelihood=NormalLikelihood(), estimator=SeveralCalls()).double())


@pytest.mark.parametrize("name", around_the_layers())
def test_what_goes_around_the_layers_is_noticed_and_measured_datum_by_datum(name: str, caplog):
    model, x = around_the_layers()[name], data(3)
    with pytest.raises(NotLayerwiseError), measuring(model):
        layerwise_sums(model, x, 4)
    with torch.random.fork_rng(), caplog.at_level(logging.INFO):
        torch.manual_seed(0)
        got = gradient_statistics(model, x, 300, per_element=True)
        expected = reference(model, x, 300)
    assert "datum by datum" in caplog.text
    for group, (variance, _, elements) in expected.items():
        ours = got[group]
        assert (ours.variance - variance).abs() < LIMIT * 2**0.5 * ours.standard_error, group
        assert sum(variance.numel() for variance in ours.element_variances) == elements.numel()


def test_what_is_not_a_number_is_reported_as_such(caplog):
    model = GaussianVAE(**SIZES)
    model.likelihood.network[0].weight.data[0, 0] = torch.nan
    with caplog.at_level(logging.INFO):
        statistics = gradient_statistics(model, data(2).float())
    assert torch.isnan(statistics["decoder"].variance)
    assert "datum by datum" not in caplog.text


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer_by_layer_is_exact_on_the_noise_of_explicit_gradients(case: Case):
    model, x = case.model(), data()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = reference(model, x, 4)
        torch.manual_seed(2)
        with measuring(model):
            sums = layerwise_sums(model, x, 4, per_element=True)
    assert set(sums) == set(expected)
    for name, (variance, squared_norm, elements) in expected.items():
        got = sums[name].statistics()
        scale = float(squared_norm.abs() + variance)
        torch.testing.assert_close(got.variance, variance, rtol=ROUNDING, atol=ROUNDING * scale)
        torch.testing.assert_close(got.squared_norm, squared_norm, rtol=ROUNDING, atol=ROUNDING * scale)
        flat = torch.cat([variance.flatten() for variance in got.element_variances])
        torch.testing.assert_close(flat, elements, rtol=ROUNDING, atol=ROUNDING * scale)
