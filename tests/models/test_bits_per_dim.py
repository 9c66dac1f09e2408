"""Bits per dimension: which likelihoods have them on which data, and the numbers by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from tests.models.small import gaussian, trainer
from torch.distributions import Independent, Normal, Poisson

from reparam_suite.data import Arrays, Digits
from reparam_suite.distributions import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    NormalLikelihood,
)
from reparam_suite.models.bits_per_dim import bits_per_dim, support_of_data

COLOUR = SimpleNamespace(kind="colour", levels=255)


def bits(p, data, elbo=-8.0 * math.log(2.0), event_shape=(2, 2)):
    return bits_per_dim(torch.tensor(elbo), support=support_of_data(p), event_shape=event_shape, data=data)


def test_probabilities_of_levels_need_no_correction():
    p = DiscretizedLogisticLikelihood((2, 2)).distribution(torch.zeros(1, 4))
    assert bits(p, COLOUR).item() == pytest.approx(2.0)  # 8 bits over 4 pixels
    assert bits(Independent(Poisson(torch.ones(1, 2, 2)), 2), COLOUR).item() == pytest.approx(2.0)


@pytest.mark.parametrize("levels", [255, 16])
def test_a_density_is_one_of_levels_at_their_distance(levels):
    data = SimpleNamespace(kind="grey", levels=levels)
    for p in (NormalLikelihood((2, 2)).distribution(torch.zeros(1, 4)), Independent(Normal(torch.zeros(2, 2), 1.0), 2)):
        assert bits(p, data).item() == pytest.approx(2.0 + math.log2(levels))


def test_a_wide_density_comes_to_the_probabilities_of_its_levels():
    """The sum over a narrow normal of its density at the levels over their number is 1, and so are bits comparable."""
    x = torch.arange(256, dtype=torch.float64)[:, None] / 255
    density = Normal(torch.tensor([0.5], dtype=torch.float64), 0.05).log_prob(x)[:, 0]
    as_bits = torch.stack(
        [bits(Normal(0.0, 1.0), COLOUR, elbo=float(log_density), event_shape=(1,)) for log_density in density]
    )
    assert (2.0**-as_bits).sum().item() == pytest.approx(1.0, abs=1e-6)


def test_what_means_nothing_is_not_recorded():
    bernoulli = BernoulliLikelihood((2, 2)).distribution(torch.zeros(1, 4))
    assert bits(bernoulli, COLOUR) is None  # of intensities that it gives no probabilities
    normal = NormalLikelihood((2, 2)).distribution(torch.zeros(1, 4))
    for kind in ("binary", "real", "count", None):
        assert bits(normal, SimpleNamespace(kind=kind, levels=None)) is None


def test_they_are_logged_with_the_bounds_of_images_alone():
    rows = torch.arange(16 * 12).reshape(16, 3, 2, 2).remainder(256).to(torch.uint8)
    data = Arrays.of(train=rows, valid=rows, test=rows)
    assert (data.kind, data.levels) == ("colour", 255)
    model = gaussian(event_shape=(3, 2, 2), likelihood=DiscretizedLogisticLikelihood())
    by_stage = {
        "val": trainer().validate(model, datamodule=data, verbose=False)[0],
        "test": trainer().test(model, datamodule=data, verbose=False)[0],
    }
    for stage, found in by_stage.items():
        expected = -found[f"{stage}/elbo"] / 12 / math.log(2.0)
        assert found[f"{stage}/bits_per_dim"] == pytest.approx(expected, rel=1e-6)
    binary = trainer().validate(gaussian(event_shape=(64,)), datamodule=Digits(), verbose=False)[0]
    assert "val/bits_per_dim" not in binary
    assert (Digits(binarization="none").levels, Digits().levels) == (16, None)
