"""Maps of two latents: which two, at which values, and what the others are meanwhile."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.figures.pictures import drawn, tiles
from torch import nn
from torch.distributions import Independent, Laplace

from reparam_suite.distributions import bernoulli, categorical, multivariate_normal, normal
from reparam_suite.figures import latent_map, most_used


class Decoder(nn.Module):
    """Stands for a VAE whose q and p are given: z, all its numbers, decodes to an image of as many pixels."""

    def __init__(self, q, p, shape):
        super().__init__()
        self.q, self.p, self.shape, self.seen = q, p, shape, []

    def encode(self, x):
        return self.q

    def prior(self):
        return self.p

    def decode(self, z):
        self.seen.append(z)
        wide = z.reshape(*z.shape[: z.dim() - len(self.q.event_shape)], -1)
        return SimpleNamespace(mean=wide.sigmoid().reshape(*wide.shape[:-1], *self.shape))


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def frames(figure, size: int) -> set[tuple[int, int]]:
    """Row and column of every frame, where a tile takes `size` pixels with its gap."""
    corners = [patch.get_xy() for patch in figure.axes[0].patches]
    return {(round((y + 2) / size), round((x + 2) / size)) for x, y in corners}


def test_normal_latents_take_the_quantiles_of_the_prior():
    # KL: z2 of scale 0.1 most, then z0 with a mean off its prior; z1 and z3 are as the prior has them.
    q = normal(torch.tensor([[1.5, 5.0, 0.0, 0.0]]).repeat(3, 1), torch.tensor([[1.0, 2.0, 0.1, 1.0]]).repeat(3, 1))
    p = normal(torch.tensor([0.0, 5.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 1.0, 1.0]))
    model = Decoder(q, p, (2, 2))
    assert most_used(q, p) == (2, 0)
    figure = latent_map(model, torch.zeros(3, 2, 2), num_values=3)
    (z,) = model.seen
    assert z.shape == (3, 3, 4)
    third = float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(5.0 / 6.0)))  # quantiles of 1/6, 1/2, 5/6
    torch.testing.assert_close(z[..., 0], torch.tensor([-third, 0.0, third]).expand(3, 3))
    torch.testing.assert_close(z[..., 2], torch.tensor([third, 0.0, -third])[:, None].expand(3, 3))  # upwards
    assert (z[..., 1] == 5.0).all()
    assert (z[..., 3] == 0.0).all()
    np.testing.assert_array_equal(tiles(figure, 2, 2), drawn(z.sigmoid().reshape(3, 3, 2, 2)))
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("z0", "z2")
    assert labels(ax.get_xticklabels()) == ["\N{MINUS SIGN}0.97", "0", "+0.97"]
    assert labels(ax.get_yticklabels()) == ["+0.97", "0", "\N{MINUS SIGN}0.97"]


def test_latents_that_are_named_are_taken_and_a_full_covariance_counts_by_its_marginals():
    loc, root = torch.zeros(2, 3), torch.eye(3) * torch.tensor([1.0, 0.1, 0.5])
    q, p = multivariate_normal(loc, root.expand(2, 3, 3)), normal(torch.zeros(3), torch.ones(3))
    assert most_used(q, p) == (1, 2)
    model = Decoder(q, p, (3, 1, 1))
    figure = latent_map(model, torch.zeros(2, 3, 1, 1), latents=(0, 2), num_values=2)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("z0", "z2")
    assert len(model.seen[0][..., 1].unique()) == 1
    assert tiles(figure, 1, 1).shape == (2, 2, 1, 1, 3)  # in colour


def test_bits_take_both_values_beside_each_datum():
    logits = torch.tensor([[9.0, 0.1, -9.0, -0.3], [-9.0, 0.1, -9.0, 0.3]])
    q, p = bernoulli(logits), bernoulli(torch.zeros(4))
    model = Decoder(q, p, (4,))
    x = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    figure = latent_map(model, x, latents=(2, 0), image_shape=(2, 2))
    (z,) = model.seen
    assert z.shape == (2, 2, 2, 4)
    for datum, last in ((0, 0.0), (1, 1.0)):  # the others at their most probable values
        assert (z[datum, ..., 1] == 1.0).all()
        assert (z[datum, ..., 3] == last).all()
    assert z[0, ..., 2].tolist() == [[0.0, 1.0]] * 2
    assert z[0, ..., 0].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    expected = torch.cat([x[:, None], z.sigmoid().flatten(1, 2)], 1).reshape(2, 5, 2, 2)
    np.testing.assert_array_equal(tiles(figure, 2, 2), drawn(expected))
    assert labels(figure.axes[0].get_xticklabels()) == ["data", "0 0", "1 0", "0 1", "1 1"]
    assert frames(figure, 52) == {(0, 3), (1, 1)}  # z2, z0 are 0 1 of the first datum, 0 0 of the second


def test_classes_are_a_map_of_those_that_are_used_most():
    logits = torch.zeros(5, 3, 14)
    logits[:, 0, 3] = 5.0
    logits[:, 2] = torch.arange(14) / 10
    logits[:, 1, 13] = 1.0
    q, p = categorical(logits), categorical(torch.zeros(3, 14))
    assert most_used(q, p)[0] == 0
    model = Decoder(q, p, (6, 7))
    figure = latent_map(model, torch.zeros(5, 6, 7), latents=(2, 0))
    (z,) = model.seen
    assert z.shape == (1, 12, 12, 3, 14)
    assert z.sum(-1).eq(1.0).all()
    assert z[0, ..., 1, 13].eq(1.0).all()
    assert z[0, 0, :, 2].argmax(-1).tolist() == list(range(2, 14))
    assert len(z[0, :, 0, 0].argmax(-1).unique()) == 12
    assert tiles(figure, 6, 7).shape[:2] == (12, 12)
    assert labels(figure.axes[0].get_xticklabels()) == [str(value) for value in range(2, 14)]
    (row,) = [place for place, value in enumerate(labels(figure.axes[0].get_yticklabels())) if value == "3"]
    figure_frames = {(round((y + 2) / 46), round((x + 2) / 53)) for x, y in [figure.axes[0].patches[0].get_xy()]}
    assert figure_frames == {(row, 11)}


@pytest.mark.parametrize(
    ("q", "p"),
    [
        (normal(torch.zeros(2, 1), torch.ones(2, 1)), normal(torch.zeros(1), torch.ones(1))),
        (Independent(Laplace(torch.zeros(2, 3), torch.ones(2, 3)), 1), normal(torch.zeros(3), torch.ones(3))),
        (bernoulli(torch.zeros(2, 3)), normal(torch.zeros(3), torch.ones(3))),
    ],
    ids=["one latent", "another family", "another prior"],
)
def test_latents_without_a_map_are_refused(q, p):
    assert most_used(q, p) is None
    with pytest.raises(ValueError, match=r"^latents: expected two or more that are normal, bits or classes, with a"):
        latent_map(Decoder(q, p, (2, 2)), torch.zeros(2, 2, 2))


def test_what_is_no_image_and_no_latent_is_refused():
    model = Decoder(normal(torch.zeros(2, 3), torch.ones(2, 3)), normal(torch.zeros(3), torch.ones(3)), (3,))
    with pytest.raises(ValueError, match=r"^x: expected images, got shape \[2, 30\]$"):
        latent_map(model, torch.zeros(2, 30))
    for latents in ((0, 3), (1, 1)):
        with pytest.raises(ValueError, match=r"^latents: expected two numbers from 0 to 2, got \("):
            latent_map(model, torch.zeros(2, 4), latents=latents)
