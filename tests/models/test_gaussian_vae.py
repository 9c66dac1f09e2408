"""A VAE with normal latents: of images, and of real numbers."""

import math

import pytest
import torch
from tests.models.small import bits, fit, gaussian, validated

from reparam_suite.distributions import (
    NormalLikelihood,
)
from reparam_suite.estimators import (
    Pathwise,
)


def test_images_keep_their_axes():
    model = gaussian(event_shape=(1, 4, 3))
    x = bits(5, 1, 4, 3)
    assert model.decode(model.encode(x).sample((2,))).mean.shape == (2, 5, 1, 4, 3)
    assert model.log_likelihood(x, model.encode(x).sample((2,))).shape == (2, 5)
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(7).shape == (7, 1, 4, 3)
    assert model.expectation((x, torch.arange(5))).context.shape == (5, 12)


def test_real_numbers_train_and_the_scale_of_the_noise_is_learned(real_arrays):
    """x = a line in five dimensions plus noise of 0.1: the model must come near the noise."""
    model = gaussian(
        event_shape=(5,),
        likelihood=NormalLikelihood(),
        latent_size=1,
        hidden_sizes=(),
        learning_rate=0.02,
        estimator=Pathwise(num_samples=4),
    )
    before = validated(model, [real_arrays.sample_batch("valid")])["val/elbo"]
    used = fit(model, real_arrays, max_steps=600)
    after = {name: value.item() for name, value in used.callback_metrics.items()}
    assert model.likelihood.family.log_scale.exp().item() == pytest.approx(0.1, rel=0.15)
    assert after["val/elbo"] > before + 5.0
    # 5 (-log 0.1 - 1/2 log 2 pi - 1/2) less what one latent costs: between 0 and 4 nats.
    best = 5 * (-math.log(0.1) - 0.5 * math.log(2 * math.pi) - 0.5)
    assert best - 6.0 < after["val/elbo"] < best
