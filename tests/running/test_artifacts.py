"""Figures of a model, as far as it has the methods for them."""

from types import SimpleNamespace

import pytest
from tests.running.like_a_vae import Otherwise, Real, images

from reparam_suite.distributions import bernoulli
from reparam_suite.running.artifacts import figures_of

NO_TRAINING = SimpleNamespace(curves={}, arrays={})


def test_real_latents_are_moved_about_their_prior():
    model, seen = Real(), []
    model.decode = lambda z: seen.append(z) or bernoulli(z.repeat_interleave(6, -1)[..., :16])
    names = {name for name, _ in figures_of(model, images(), NO_TRAINING)}
    assert "latent_traversal" in names
    assert "code_use" not in names
    (moved,) = (z.detach() for z in seen if z.shape == (3, 11, 3))  # [latents, values, D]
    assert moved.amin() == pytest.approx(10.0 - 2.5 * 2.0)
    assert moved.amax() == pytest.approx(10.0 + 2.5 * 2.0)


def test_a_method_of_another_meaning_draws_nothing_and_ends_nothing():
    names = {name for name, _ in figures_of(Otherwise(), images(), NO_TRAINING)}
    assert names == {"latent_traversal", "latent_map", "interpolations"}
