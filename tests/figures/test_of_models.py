"""Figures of a VAE: the model is asked, and left as it was."""

import sys

import numpy as np
import pytest
import torch
from tests.figures.pictures import drawn, tiles
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, TransformedDistribution
from torch.distributions.transforms import AffineTransform, TanhTransform

from reparam_suite.figures import interpolations, latent_map, reconstructions, samples


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


@pytest.mark.parametrize(
    ("event_shape", "shown"), [((64,), (8, 8)), ((5, 6), (5, 6)), ((1, 5, 6), (5, 6)), ((3, 4, 4), (3, 4, 4))]
)
def test_every_event_shape_of_an_image_is_shown(event_shape, shown):
    x = torch.rand(3, *event_shape, generator=torch.Generator().manual_seed(0))
    model = Toy(event_shape)
    found = tiles(reconstructions(model, x), *shown[-2:])
    means = x.flatten(1).mean(-1).reshape(3, *(1 for _ in shown)).expand(3, *shown)
    np.testing.assert_array_equal(found, drawn(torch.stack([x.reshape(3, *shown), means]), in_colour=len(shown) == 3))
    assert tiles(samples(model, 7), *shown[-2:]).shape[:2] == (3, 3)


def test_what_is_no_image_is_drawn_as_lines():
    model, x = Toy((30,)), torch.rand(5, 30)
    assert len(reconstructions(model, x).axes) == 4
    assert len(samples(model, 5).axes) == 4
    assert tiles(samples(model, 5, image_shape=(5, 6)), 5, 6).shape[:2] == (2, 3)


@pytest.mark.parametrize(("has_mean", "told"), [(True, "at q's mean"), (False, "at a sample of q")])
def test_the_title_says_what_is_reconstructed(has_mean, told):
    figure = reconstructions(Toy((9,), has_mean=has_mean), torch.rand(2, 9))
    assert figure.axes[0].get_title(loc="left").endswith(told)


def test_the_model_and_the_generator_are_left_as_they_were_and_the_noise_is_that_of_the_seed():
    model, x = Toy((9,), has_mean=False).train(), torch.rand(2, 9)
    before = torch.get_rng_state()
    one, two, other = (tiles(reconstructions(model, x, seed=seed), 3, 3) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert model.dropout.training
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(*(tiles(samples(model, 4), 3, 3) for _ in "12"))


def test_pyplot_is_not_touched():
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = [] if pyplot is None else pyplot.get_fignums()
    samples(Toy((9,)), 2)
    assert sys.modules.get("matplotlib.pyplot") is pyplot
    assert before == ([] if pyplot is None else pyplot.get_fignums())


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), ("4", TypeError), (2.0, TypeError), (None, TypeError)])
def test_numbers_are_checked(wrong, error):
    model, x = Toy((9,)), torch.zeros(4, 9)
    with pytest.raises(error, match=f"^n: expected an integer of at least 1, got {wrong!r}$"):
        samples(model, wrong)
    with pytest.raises(error, match=f"^num_pairs: expected an integer of at least 1, got {wrong!r}$"):
        interpolations(model, x, num_pairs=wrong)
    with pytest.raises(error, match=f"^num_steps: expected an integer of at least 2, got {wrong!r}$"):
        interpolations(model, x, num_steps=wrong)
    with pytest.raises(error, match=f"^num_values: expected an integer of at least 1, got {wrong!r}$"):
        latent_map(model, x, num_values=wrong)


@pytest.mark.parametrize(("event_shape", "shown"), [((9,), (3, 3)), ((3, 2, 2), (3, 2, 2))])
def test_between_two_data_are_the_decoded_points_of_the_line(event_shape, shown):
    x = torch.rand(5, *event_shape, generator=torch.Generator().manual_seed(1))
    figure = interpolations(Toy(event_shape), x, num_pairs=4, num_steps=3)
    found = tiles(figure, *shown[-2:])  # two pairs of five data; a datum, three points, a datum
    means = x.flatten(1).mean(-1)
    for pair, row in enumerate(found):
        first, last = 2 * pair, 2 * pair + 1
        line = torch.stack([means[first], (means[first] + means[last]) / 2, means[last]])
        between = line.reshape(3, *(1 for _ in event_shape)).expand(3, *event_shape)
        expected = drawn(torch.cat([x[[first]], between, x[[last]]]).reshape(5, *shown), in_colour=len(shown) == 3)
        np.testing.assert_allclose(row.astype(int), expected.astype(int), atol=1)
    assert len(found) == 2
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["data", "0", "0.5", "1", "data"]


def test_one_datum_and_data_that_are_no_images_have_none():
    for x in (torch.rand(1, 9), torch.rand(4, 30)):
        with pytest.raises(ValueError, match=r"^x: expected two images or more, got shape"):
            interpolations(Toy(x.shape[1:]), x)
