"""The discretized logistic against the logistic's own distribution function and against all of its 256 levels."""

import math

import pytest
import torch
from tests.statistics import LIMIT

from reparam_suite.distributions import DiscretizedLogistic, DiscretizedLogisticLikelihood, parameters

LOCS = torch.tensor([-0.2, 0.0, 0.31, 0.5, 1.0, 1.3], dtype=torch.float64)


def of(loc: torch.Tensor, scale: float, levels: int = 255) -> DiscretizedLogistic:
    return DiscretizedLogistic(loc[:, None], torch.tensor(math.log(scale), dtype=loc.dtype), levels)


def levels_of(levels: int) -> torch.Tensor:
    return torch.arange(levels + 1, dtype=torch.float64)[:, None, None] / levels  # [L + 1, 1, 1]


@pytest.mark.parametrize("scale", [1e-3, 0.02, 0.3, 5.0])
@pytest.mark.parametrize("levels", [1, 15, 255])
def test_the_probabilities_of_all_levels_add_up_to_one(scale, levels):
    log_p = of(LOCS, scale, levels).log_prob(levels_of(levels))
    assert log_p.shape == (levels + 1, len(LOCS))
    torch.testing.assert_close(log_p.exp().sum(0), torch.ones_like(LOCS))


@pytest.mark.parametrize("scale", [0.02, 0.3])
def test_a_probability_is_a_difference_of_the_logistic_distribution_function(scale):
    x = levels_of(255)
    below, above = ((x[..., 0] + side / 510 - LOCS).div(scale).sigmoid() for side in (-1, 1))
    below[0], above[-1] = 0.0, 1.0
    expected = above - below
    torch.testing.assert_close(of(LOCS, scale).log_prob(x).exp(), expected, rtol=1e-9, atol=1e-13)


def test_single_precision_and_far_away_levels_are_finite_with_a_gradient():
    loc = torch.tensor([[0.0], [1.0]], requires_grad=True)
    log_scale = torch.tensor(-7.0, requires_grad=True)
    log_p = DiscretizedLogistic(loc, log_scale).log_prob(torch.tensor([[1.0], [0.5]]))
    # 1 is 254.5 levels above a location of 0: log P = -(1 - 1/510) / scale, to which an exponential adds nothing.
    assert log_p[0].item() == pytest.approx(-(1 - 1 / 510) * math.exp(7), rel=1e-5)
    log_p.sum().backward()
    assert loc.grad[0].item() == pytest.approx(math.exp(7), rel=1e-5)
    assert log_scale.grad.isfinite()


def test_values_between_the_levels_count_as_the_level_around_them():
    p = of(LOCS, 0.1)
    below, x, above = (p.log_prob(torch.full((1,), (100 + step) / 255, dtype=torch.float64)) for step in (-1, 0, 1))
    between = p.log_prob(torch.full((1,), 100.4 / 255, dtype=torch.float64))
    low, high = torch.minimum(below, above), torch.maximum(torch.maximum(below, above), x)
    assert ((low < between) & (between < high + 1e-3)).all()


@pytest.mark.parametrize("scale", [0.01, 0.2])
def test_draws_are_levels_with_their_probabilities(scale):
    p = of(LOCS, scale, levels=15)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = p.sample((40_000,))[..., 0]  # [N, 6]
    expected = p.log_prob(levels_of(15)).exp()  # [16, 6]
    found = torch.stack([(x - k / 15).abs().lt(1e-6).double().mean(0) for k in range(16)])
    torch.testing.assert_close(found.sum(0), torch.ones_like(LOCS))
    error = (expected * (1 - expected) / 40_000).sqrt()
    assert ((found - expected).abs() <= LIMIT * error + 1e-4).all()
    assert p.support.check(p.sample()).all()
    assert not p.support.check(p.sample() + 0.01).any()


@pytest.mark.parametrize("scale", [1 / 255, 0.05, 0.5])
def test_the_mean_is_that_of_the_levels(scale):
    expected = (levels_of(255)[..., 0] * of(LOCS, scale).log_prob(levels_of(255)).exp()).sum(0)
    torch.testing.assert_close(of(LOCS, scale).mean[:, 0], expected, rtol=0, atol=1e-4)


def test_the_family_has_one_learned_scale_and_an_output_of_zero_is_a_medium_grey():
    family = DiscretizedLogisticLikelihood((3, 2, 2), initial_scale=0.2)
    p = family.distribution(torch.zeros(4, 5, 12))
    assert (p.batch_shape, p.event_shape, p.loc.unique().tolist()) == ((4, 5), (3, 2, 2), [0.5])
    torch.testing.assert_close(p.mean, p.loc)
    assert set(parameters(p)) == {"loc", "log_scale"}
    mean = torch.rand(3, 2, 2)
    assert torch.allclose(family.distribution(family.raw_of(mean).flatten()).loc, mean)
    assert [parameter.item() for parameter in family.parameters()] == [pytest.approx(math.log(0.2))]
    made = {"event_shape": (3, 2, 2), "scale": "learned", "initial_scale": 0.2, "levels": 255}
    assert family.constructor_arguments() == made


def test_options_out_of_range_are_refused():
    with pytest.raises(
        ValueError, match=r"^levels of DiscretizedLogisticLikelihood: expected an integer of at least 1, got 0$"
    ):
        DiscretizedLogisticLikelihood(levels=0)
    with pytest.raises(ValueError, match=r"^scale of DiscretizedLogisticLikelihood: expected learned or a positive"):
        DiscretizedLogisticLikelihood(scale=-1.0)
