import numpy as np
import pytest

from reparam_suite.figures import latent_use


def test_every_latent_has_a_bar_of_its_two_parts_the_largest_first():
    (ax,) = latent_use(np.array([0.1, 3.0, 0.5]), np.array([0.05, 1.0, 0.6])).axes
    below, above = ([bar.get_height() for bar in bars] for bars in ax.containers)
    np.testing.assert_allclose(below, [1.0, 0.5, 0.05])  # a part is no more than the whole
    np.testing.assert_allclose(above, [2.0, 0.0, 0.05])
    assert ax.get_title(loc="left") == "Use of 3 latents, 3.6 nats in all"


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="kl_per_latent: expected finite values, got 1 that are not"):
        latent_use(np.array([np.nan, 1.0]), np.zeros(2))
