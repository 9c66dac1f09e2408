"""Figures of a VAE: the model is asked, and left as it was."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import AffineTransform, TanhTransform

from reparam_suite.figures import interpolations, reconstructions, samples


class Toy(nn.Module):
    """Stands for any VAE: z is the mean pixel, and noise; p(x|z) has it everywhere."""

    def __init__(self, event_shape, *, has_mean=True):
        super().__init__()
        self.event_shape, self.has_mean = event_shape, has_mean
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.dropout = nn.Dropout(0.9)

    def encode(self, x):
        loc = self.dropout(x.flatten(1).mean(-1, keepdim=True))
        q = Independent(Normal(loc, self.scale), 1)
        return q if self.has_mean else TransformedDistribution(q, [TanhTransform(), AffineTransform(0.5, 0.1)])

    def decode(self, z):
        probabilities = z.clamp(0, 1).reshape(*z.shape[:-1], *(1 for _ in self.event_shape))
        return Independent(Bernoulli(probabilities.expand(*z.shape[:-1], *self.event_shape)), len(self.event_shape))

    def reconstruct(self, x):
        q = self.encode(x)
        return self.decode(q.mean if self.has_mean else q.sample()).mean

    def sample(self, n):
        return self.decode(torch.rand(n, 1)).mean


def images(figure):
    return np.stack([np.asarray(image.get_array()) for image in figure.axes[0].images])


@pytest.mark.parametrize(
    ("event_shape", "shown"), [((64,), (8, 8)), ((5, 6), (5, 6)), ((1, 5, 6), (5, 6)), ((3, 4, 4), (4, 4, 3))]
)
def test_every_event_shape_of_an_image_is_shown(event_shape, shown):
    x = torch.rand(3, *event_shape, generator=torch.Generator().manual_seed(0))
    model = Toy(event_shape)
    drawn = images(reconstructions(model, x))
    assert drawn.shape == (6, *shown)
    means = x.flatten(1).mean(-1).double().numpy()
    np.testing.assert_allclose(drawn[3:], np.broadcast_to(means.reshape(3, *(1 for _ in shown)), (3, *shown)))
    assert images(samples(model, 7)).shape == (7, *shown)


def test_what_is_no_image_is_drawn_as_lines():
    model, x = Toy((30,)), torch.rand(5, 30)
    assert len(reconstructions(model, x).axes) == 4
    assert len(samples(model, 5).axes) == 4
    assert images(samples(model, 5, image_shape=(5, 6))).shape == (5, 5, 6)


@pytest.mark.parametrize(("has_mean", "told"), [(True, "at q's mean"), (False, "at a sample of q")])
def test_the_title_says_what_is_reconstructed(has_mean, told):
    figure = reconstructions(Toy((9,), has_mean=has_mean), torch.rand(2, 9))
    assert figure.axes[0].get_title(loc="left").endswith(told)


def test_the_model_and_the_generator_are_left_as_they_were_and_the_noise_is_that_of_the_seed():
    model, x = Toy((9,), has_mean=False).train(), torch.rand(2, 9)
    before = torch.get_rng_state()
    one, two, other = (images(reconstructions(model, x, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert model.dropout.training
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(images(samples(model, 4)), images(samples(model, 4)))


def test_pyplot_is_not_touched():
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = [] if pyplot is None else pyplot.get_fignums()
    samples(Toy((9,)), 2)
    assert sys.modules.get("matplotlib.pyplot") is pyplot
    assert before == ([] if pyplot is None else pyplot.get_fignums())


def test_no_sample_at_all_is_refused():
    with pytest.raises(ValueError, match="n: expected at least 1, got 0"):
        samples(Toy((9,)), 0)


@pytest.mark.parametrize("event_shape", [(9,), (3, 2, 2)])
def test_between_two_data_are_the_decoded_points_of_the_line(event_shape):
    x = torch.rand(5, *event_shape, generator=torch.Generator().manual_seed(1))
    model = Toy(event_shape)
    figure = interpolations(model, x, num_pairs=4, num_steps=3)
    drawn = images(figure).reshape(2, 5, -1)  # two pairs of five data; a datum, three points, a datum
    means = x.flatten(1).mean(-1).double().numpy()
    for pair in range(2):
        first, last = means[2 * pair], means[2 * pair + 1]
        for place, expected in ((1, first), (2, (first + last) / 2), (3, last)):
            np.testing.assert_allclose(drawn[pair, place], expected, rtol=1e-6)
        expected = x[2 * pair]
        expected = expected.permute(1, 2, 0) if len(event_shape) == 3 else expected
        np.testing.assert_allclose(drawn[pair, 0], expected.flatten(), rtol=1e-6)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["data", "0", "0.5", "1", "data"]


def test_one_datum_and_data_that_are_no_images_have_none():
    for x in (torch.rand(1, 9), torch.rand(4, 30)):
        with pytest.raises(ValueError, match=r"^x: expected two images or more, got shape"):
            interpolations(Toy(x.shape[1:]), x)
