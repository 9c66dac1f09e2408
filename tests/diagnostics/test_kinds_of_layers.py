"""Networks of every kind in a model that knows nothing of the suite's: each road against the others."""

import logging

import pytest
import torch
from tests.diagnostics.own_models import Attention, CoupledPosterior, PlainVAE, TiedDecoder, Tokens, TorchAttention
from tests.diagnostics.roads import assert_same_variance, reference
from torch import Tensor, nn

from reparam_suite.diagnostics import gradient_statistics, measuring, naive_gradient_statistics
from reparam_suite.diagnostics.layerwise import layerwise_sums
from reparam_suite.diagnostics.layout import NUM_PROBED, layout_of
from reparam_suite.distributions import BernoulliLikelihood, Conditional, StandardNormal
from reparam_suite.estimators import Pathwise, ScoreFunction, StickTheLanding
from reparam_suite.models import VAE
from reparam_suite.networks import ResNet

ENCODERS = {
    "strided": lambda: [nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(16, 4)],
    "grouped": lambda: [
        nn.Conv2d(1, 4, 2, padding=1, bias=False),
        nn.Tanh(),
        nn.Conv2d(4, 4, 2, groups=2, dilation=2),
        nn.Flatten(),
        nn.Linear(36, 4),
    ],
    "padded by name": lambda: [nn.Conv2d(1, 2, 3, padding="same"), nn.Tanh(), nn.Flatten(), nn.Linear(32, 4)],
    "normed": lambda: [
        nn.Conv2d(1, 4, 2),
        nn.GroupNorm(2, 4),
        nn.SiLU(),
        nn.Flatten(),
        nn.LayerNorm(36),
        nn.Linear(36, 4),
    ],
    "of a line": lambda: [nn.Flatten(2), nn.Conv1d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(28, 4)],
    "embedded": lambda: [Tokens(2), nn.Flatten(), nn.Linear(32, 4)],
    "back and forth": lambda: [
        nn.Conv2d(1, 2, 4, stride=2, padding=1),
        nn.Tanh(),
        nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1, dilation=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(48, 4),
    ],
    "instance norm": lambda: [
        nn.Conv2d(1, 2, 3),
        nn.InstanceNorm2d(2, affine=True),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(8, 4),
    ],
    "attention": lambda: [Tokens(3), Attention(3), nn.Flatten(), nn.Linear(48, 4)],
}
DECODERS = {
    "transposed": lambda: [
        nn.Linear(2, 8),
        nn.Unflatten(-1, (2, 2, 2)),
        nn.SiLU(),
        nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1),
    ],
    "transposed without bias": lambda: [
        nn.Linear(2, 8),
        nn.Unflatten(-1, (2, 2, 2)),
        nn.SiLU(),
        nn.ConvTranspose2d(2, 1, 2, padding=1, stride=2, dilation=3, output_padding=1, bias=False),
        nn.UpsamplingNearest2d(size=4),
    ],
    "residual": lambda: [ResNet(width=2, depth=1, stages=1)((2,), (1, 4, 4))],
    "linear": lambda: [nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 16), nn.Unflatten(-1, (1, 4, 4))],
}
SLOW = {
    "attention of PyTorch": (lambda: [Tokens(4), TorchAttention(4), nn.Flatten(), nn.Linear(64, 4)], "linear"),
    "tied": (ENCODERS["strided"], lambda: [TiedDecoder(2, 16), nn.Unflatten(-1, (1, 4, 4))]),
}


def images(num_data: int) -> Tensor:
    return torch.rand(num_data, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).round()


def plain_vae(encoder, decoder, **options) -> PlainVAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = DECODERS[decoder] if isinstance(decoder, str) else decoder
        model = PlainVAE(nn.Sequential(*encoder()), nn.Sequential(*made()), latent_size=2, **options)
        return model.double()


PAIRS = [(name, "linear") for name in ENCODERS]
PAIRS += [("strided", name) for name in DECODERS if name != "linear"]


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
@pytest.mark.parametrize("once", [True, False])
def test_layer_by_layer_is_exact_at_the_same_noise(encoder: str, decoder: str, once: bool):
    model, x = plain_vae(ENCODERS[encoder], decoder), images(4)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = reference(model, x, 4)
        torch.manual_seed(2)
        with measuring(model):
            layout = layout_of(model, x)
            assert layout.once is model.posterior
            layout = layout if once else type(layout)(axes=layout.axes, once=None, bytes_per_row=1)
            sums = layerwise_sums(model, x, 4, layout, per_element=True)
    assert set(sums) == set(expected) == {"posterior", "likelihood", "prior", "loc", "scale"}
    for name, (variance, squared_norm, elements) in expected.items():
        got = sums[name].statistics()
        torch.testing.assert_close(got.variance, variance, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(got.squared_norm, squared_norm, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(torch.cat([variance.flatten() for variance in got.element_variances]), elements)
    assert float(sums["posterior"].variance) > 1e-3


@pytest.mark.parametrize("encoder", ENCODERS)
def test_single_precision_loses_little(encoder: str):
    model, x = plain_vae(ENCODERS[encoder], "transposed").float(), images(4).float()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = reference(model, x, 4)
        torch.manual_seed(2)
        got = gradient_statistics(model, x, 4)
    for name, (variance, _, _) in expected.items():
        torch.testing.assert_close(got[name].variance, variance, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [*(f"{encoder}-{decoder}" for encoder, decoder in PAIRS), *SLOW])
def test_the_road_that_is_taken_agrees_with_the_slow_loop(name: str, caplog):
    networks = SLOW.get(name) or (ENCODERS[name.split("-")[0]], name.split("-")[1])
    model, x = plain_vae(*networks), images(3)
    with torch.random.fork_rng(), caplog.at_level(logging.INFO):
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 200)
        fast = gradient_statistics(model, x, 150)
    assert list(fast) == list(slow)
    road = "datum by datum" if name in SLOW else "layer by layer"
    for part, statistics in fast.items():
        assert statistics.road == road
        assert_same_variance(statistics, slow[part], part)
    assert ("datum by datum" in caplog.text) == (name in SLOW)


def test_score_function_gradients_of_a_convolution():
    model, x = plain_vae(ENCODERS["strided"], "transposed", estimator=ScoreFunction(num_samples=2)), images(4)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = reference(model, x, 4)["posterior"][0]
        torch.manual_seed(2)
        torch.testing.assert_close(gradient_statistics(model, x, 4)["posterior"].variance, expected)


@pytest.mark.parametrize("num_samples", [1, NUM_PROBED])
@pytest.mark.parametrize("estimator", [Pathwise, StickTheLanding])
def test_a_flow_whose_density_is_frozen_is_measured_layer_by_layer(estimator, num_samples, caplog):
    """Its conditioner is called in the density too, where no gradient reaches it; as many samples are no rows."""
    torch.manual_seed(0)
    likelihood = Conditional(nn.Linear(2, 4), BernoulliLikelihood(event_shape=(4,)))
    model = VAE(
        posterior=CoupledPosterior(4),
        likelihood=likelihood,
        prior=StandardNormal((2,)),
        estimator=estimator(num_samples=num_samples),
    ).double()
    x = torch.rand(5, 4, dtype=torch.float64).round()
    with torch.random.fork_rng(), caplog.at_level(logging.INFO):
        torch.manual_seed(2)
        expected = reference(model, x, 4)
        torch.manual_seed(2)
        found = gradient_statistics(model, x, 4)
    assert {statistics.road for statistics in found.values()} == {"layer by layer"}, caplog.text
    for name, (variance, squared_norm, _) in expected.items():
        torch.testing.assert_close(found[name].variance, variance, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found[name].squared_norm, squared_norm, rtol=1e-9, atol=1e-9)
