"""A VAE with discrete latents: its defaults, and how bits and one-hot latents enter the decoder."""

import torch
from tests.models.small import bits, categorical, discrete
from torch import nn

from reparam_suite.distributions import (
    DiscreteFamily,
    FactorizedBernoulli,
    bernoulli,
)
from reparam_suite.estimators import (
    LeaveOneOut,
)
from reparam_suite.models import DiscreteVAE
from reparam_suite.networks import SignedBits


def test_defaults_are_objects_of_their_own():
    first, second = discrete(), discrete()
    assert first.estimator is not second.estimator
    assert first.estimator.num_samples == 4
    assert type(first.estimator.baseline) is LeaveOneOut
    first.estimator.num_samples = 9
    assert discrete().estimator.num_samples == 4


def test_the_latents_of_a_categorical_model_enter_the_decoder_flat():
    model = categorical()
    z = model.encode(bits(5, 12)).sample((2,))
    assert z.shape == (2, 5, 3, 4)
    expected = model.likelihood.network(z.reshape(10, 3, 4)).reshape(2, 5, 12)
    assert torch.equal(model.decode(z).logits, expected)
    assert isinstance(model, DiscreteVAE)


def test_a_family_of_ones_own_says_whether_its_latents_are_bits():
    class Own(DiscreteFamily):
        @property
        def num_parameters(self) -> int:
            return self.size

        def distribution(self, raw):
            return bernoulli(raw)

        def prior(self, *, learned: bool) -> nn.Module:
            return FactorizedBernoulli(self.size).prior(learned=learned)

    class OwnBits(Own):
        are_bits = True

    def signed(family) -> bool:
        model = discrete(posterior=family, centre_input=True, num_layers=2)
        return any(isinstance(module, SignedBits) for module in model.modules())

    assert signed(OwnBits())
    assert not signed(Own())
