"""Which rows belong to which datum, and what runs once for all repeats."""

import torch
from tests.diagnostics.own_models import PlainVAE, plain, plain_networks, rows
from tests.diagnostics.roads import assert_same_variance
from torch import Tensor, nn

from reparam_suite.diagnostics import gradient_statistics, naive_gradient_statistics
from reparam_suite.estimators import Pathwise


def test_a_layout_that_puts_data_first_is_found_out():
    """Rows in another order than sample by sample: the sums over data are right, those of a datum are not."""

    class DataFirst(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, z: Tensor) -> Tensor:
            return self.network(z.transpose(0, 1).flatten(0, 1)).view(z.shape[1], z.shape[0], -1).transpose(0, 1)

    model, x = plain(estimator=Pathwise(num_samples=4)).double(), rows(4)
    model.likelihood.forward = lambda z: torch.distributions.Independent(
        torch.distributions.Normal(first(z), 1.0, validate_args=False), 1
    )
    first = DataFirst(model.likelihood.network)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 300)
        fast = gradient_statistics(model, x, 150)
    assert fast["likelihood"].road == "datum by datum"
    assert_same_variance(fast["likelihood"], slow["likelihood"], "likelihood")


def test_noise_before_the_encoder_is_drawn_in_every_repeat():
    class Denoising(PlainVAE):
        def expectation(self, x):
            return super().expectation(x + 0.5 * torch.randn_like(x))

    class NoisyEncoder(nn.Sequential):
        def forward(self, x):
            return super().forward(x + 0.5 * torch.randn_like(x))

    encoder, decoder = plain_networks()
    for model in (Denoising(encoder, decoder, latent_size=2), PlainVAE(NoisyEncoder(encoder), decoder, latent_size=2)):
        x = rows(3)
        with torch.random.fork_rng():
            torch.manual_seed(4)
            slow = naive_gradient_statistics(model.double(), x, 300)
            fast = gradient_statistics(model, x, 200)
        for name, statistics in fast.items():
            assert statistics.road == "layer by layer"
            assert_same_variance(statistics, slow[name], name)
