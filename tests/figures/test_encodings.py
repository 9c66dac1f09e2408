"""The means of q in two latents: points, labels, and the prior around them."""

import numpy as np
import pytest
import torch
from tests.figures.test_latent_maps import Decoder

from reparam_suite.distributions import bernoulli, normal
from reparam_suite.figures import encodings

LOC = torch.tensor([[0.0, 1.0, 3.0], [0.5, -1.0, -3.0], [0.0, 2.0, 1.0], [0.0, 1.5, 2.0]])
X = torch.zeros(4, 2)


@pytest.fixture
def model() -> Decoder:
    return Decoder(normal(LOC, torch.ones(4, 3)), normal(torch.zeros(3), torch.tensor([1.0, 2.0, 1.0])), (3,))


def test_means_lie_in_the_two_latents_of_the_largest_kl_between_rings_of_the_prior(model):
    (ax,) = encodings(model, X).axes
    (points,) = ax.lines
    np.testing.assert_allclose(points.get_xydata(), LOC[:, [1, 2]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("z1", "z2")
    assert [(ring.width, ring.height) for ring in ax.patches] == [(4.0, 2.0), (8.0, 4.0)]


def test_a_datum_is_shown_by_its_label(model):
    (ax,) = encodings(model, X, labels=torch.tensor([7, 0, 7, 0]), latents=(0, 1)).axes
    zeros, sevens = ax.collections
    np.testing.assert_allclose(zeros.get_offsets(), LOC[[1, 3], :2])
    np.testing.assert_allclose(sevens.get_offsets(), LOC[[0, 2], :2])
    assert not np.array_equal(zeros.get_facecolor(), sevens.get_facecolor())
    assert not np.array_equal(zeros.get_paths()[0].vertices, sevens.get_paths()[0].vertices)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(3, dtype=torch.long), r"labels: expected whole numbers \[4\], got int64 \[3\]"),
        (np.zeros(4), r"labels: expected whole numbers \[4\], got float64 \[4\]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message, model):
    with pytest.raises(ValueError, match=message):
        encodings(model, X, labels=labels)


def test_too_many_labels_and_discrete_latents_are_refused(model):
    many = Decoder(normal(torch.zeros(21, 3), torch.ones(21, 3)), model.prior(), (3,))
    with pytest.raises(ValueError, match=r"^labels: expected at most 20 different ones, got 21$"):
        encodings(many, torch.zeros(21, 2), labels=np.arange(21))
    bits = Decoder(bernoulli(torch.zeros(4, 3)), bernoulli(torch.zeros(3)), (3,))
    with pytest.raises(ValueError, match=r"^latents: expected normal ones, got discrete ones of event shape"):
        encodings(bits, X)
