"""Layers of other kinds, layers called several times, and gradients that go around the layers."""

import logging
from typing import final

import pytest
import torch
from tests.diagnostics.cases import data
from tests.diagnostics.test_gradients import ROUNDING, reference
from tests.statistics import LIMIT
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, MultivariateNormal, Normal

from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.diagnostics.calls import NotLayerwiseError
from reparam_suite.diagnostics.layerwise import layerwise_sums
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.distributions import BernoulliLikelihood, Conditional, NormalLikelihood, StandardNormal
from reparam_suite.estimators import (
    Average,
    DisARM,
    Estimate,
    Expectation,
    GradientEstimator,
    Pathwise,
    StraightThrough,
    carry,
)
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE

SIZES = {"event_shape": (6,), "latent_size": 3, "hidden_sizes": (5,), "activation": "tanh"}


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


# -------------------------------------------------------------------------------- estimators that a user might bring


class _Own(GradientEstimator):
    families = (Normal, Bernoulli)
    bounds = (Average,)
    differentiates_f = True
    unbiased = False

    def __init__(self) -> None:
        super().__init__(num_samples=1)


@final
class SeveralCalls(_Own):
    """F at one sample, at three, and without a gradient; a detached inner gradient."""

    def estimate(self, target: Expectation) -> Estimate:
        z = target.q.rsample((1,))
        with torch.no_grad():
            constant = target.values(z).mean(0)
        again = target.q.rsample((3,))
        f = target.values(again)
        (inner,) = torch.autograd.grad(f.sum(), again, retain_graph=True)
        objective = target.values(z).mean(0) * constant.tanh() + f.mean(0) + (carry(again) * inner).sum(-1).mean(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class ThroughTheGradient(_Own):
    """An objective that depends on df/dz: theta is reached through the backward pass of f as well."""

    def estimate(self, target: Expectation) -> Estimate:
        z = target.q.rsample((1,))
        f = target.values(z)
        (slope,) = torch.autograd.grad(f.sum(), z, create_graph=True)
        objective = f.mean(0) + 0.1 * slope.square().sum(-1).mean(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


def test_f_called_several_times_with_inner_gradients():
    torch.manual_seed(0)
    assert_exact(GaussianVAE(**SIZES, likelihood=NormalLikelihood(), estimator=SeveralCalls()).double())


def around_the_layers() -> dict[str, VAE]:
    torch.manual_seed(0)
    tied = GaussianVAE(**SIZES)
    tied.likelihood.network[0].weight = tied.likelihood.network[2].weight = nn.Parameter(torch.randn(6, 3))
    tied.likelihood.network[0].bias = nn.Parameter(torch.randn(6))
    tied.likelihood.network[2] = Transposed(tied.likelihood.network[0])
    normed = GaussianVAE(**SIZES)
    nn.utils.parametrizations.weight_norm(normed.likelihood.network[2])
    in_place = GaussianVAE(**SIZES)
    in_place.likelihood.network[1] = nn.LeakyReLU(0.3, inplace=True)
    through = GaussianVAE(**SIZES, estimator=ThroughTheGradient())
    return {
        name: each.double()
        for name, each in {"tied": tied, "parametrized": normed, "in place": in_place, "through": through}.items()
    }


@final
class Transposed(nn.Module):
    """The weight of another layer, used without calling it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = [layer]
        self.out = nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x @ self.layer[0].weight)


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


class OneCovariance(nn.Module):
    """A normal posterior whose covariance all data share, as it is given or expanded to the data."""

    def __init__(self, *, expanded: bool, **covariance: Tensor) -> None:
        super().__init__()
        self.loc = nn.Linear(4, 2)
        self.expanded, self.covariance = expanded, covariance

    def forward(self, x: Tensor) -> Distribution:
        batch = x.shape[:-1] if self.expanded else ()
        return MultivariateNormal(
            self.loc(x), **{name: value.expand(*batch, *value.shape) for name, value in self.covariance.items()}
        )


@pytest.mark.parametrize("name", ["scale_tril", "covariance_matrix"])
def test_a_covariance_that_all_data_share_is_measured_as_one_of_each_datum(name: str):
    found = []
    for expanded in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            posterior = OneCovariance(expanded=expanded, **{name: torch.tensor([[0.5, 0.0], [0.0, 2.0]])})
            likelihood = Conditional(nn.Linear(2, 4), BernoulliLikelihood(event_shape=(4,)))
            model = VAE(posterior=posterior, likelihood=likelihood, prior=StandardNormal((2,)), estimator=Pathwise())
            found.append(gradient_statistics(model, torch.ones(3, 4), num_repeats=8))
    shared, own = found
    assert set(shared) == {"encoder", "decoder", "loc"}
    for part, statistics in own.items():
        torch.testing.assert_close(shared[part].variance, statistics.variance)
        torch.testing.assert_close(shared[part].squared_norm, statistics.squared_norm)


def test_no_hook_stays_behind():
    for model in (GaussianVAE(**SIZES), *around_the_layers().values()):
        gradient_statistics(model, data(2).to(next(model.parameters()).dtype))
        assert not any(module._forward_hooks for module in model.modules())


def test_no_hook_stays_behind_after_an_error():
    model = DiscreteVAE(**SIZES, estimator=StraightThrough())
    model.estimator = Pathwise()
    with pytest.raises(ValueError, match="Pathwise: expected a q with reparameterized samples"):
        gradient_statistics(model, data(2).float())
    assert not any(module._forward_hooks for module in model.modules())
    assert model.training


def test_what_is_not_a_number_is_reported_as_such(caplog):
    model = GaussianVAE(**SIZES)
    model.likelihood.network[0].weight.data[0, 0] = torch.nan
    with caplog.at_level(logging.INFO):
        statistics = gradient_statistics(model, data(2).float())
    assert torch.isnan(statistics["decoder"].variance)
    assert "datum by datum" not in caplog.text
