"""Likelihood families against torch's own distributions."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal

from reparam_suite.distributions import BernoulliLikelihood, NormalLikelihood


def bits(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)).round()


@pytest.mark.parametrize("event_shape", [(6,), (1, 2, 3)])
def test_the_bernoulli_likelihood_is_torchs(event_shape):
    raw, x = torch.randn(3, 5, 6), bits(5, *event_shape)
    p = BernoulliLikelihood(event_shape=event_shape).distribution(raw)
    assert (p.batch_shape, p.event_shape) == ((3, 5), event_shape)
    expected = Independent(Bernoulli(logits=raw.view(3, 5, *event_shape)), len(event_shape))
    assert torch.allclose(p.log_prob(x), expected.log_prob(x.expand(3, 5, *event_shape)))
    assert torch.equal(p.mean, expected.mean)
    assert torch.equal(p.variance, expected.variance)
    assert p.sample((7,)).shape == (7, 3, 5, *event_shape)
    assert p.log_prob(p.sample((7,))).shape == (7, 3, 5)


@pytest.mark.parametrize("likelihood", [BernoulliLikelihood((6,)), NormalLikelihood((6,), scale=0.5)])
def test_values_and_parameters_broadcast_against_each_other(likelihood):
    raw, x = torch.randn(4, 6), bits(3, 1, 6)
    found = likelihood.distribution(raw).log_prob(x)
    expected = [[likelihood.distribution(row).log_prob(value[0]) for row in raw] for value in x]
    assert torch.allclose(found, torch.tensor(expected))


def test_the_bernoulli_likelihood_has_no_limit():
    raw = torch.tensor([[[500.0, -500.0]]])
    assert BernoulliLikelihood((2,)).distribution(raw).log_prob(torch.tensor([[0.0, 1.0]])).item() == -1000.0


@pytest.mark.parametrize("event_shape", [(6,), (3, 2)])
def test_the_normal_likelihood_is_torchs_and_learns_its_scale(event_shape):
    raw, x = torch.randn(3, 5, 6), torch.randn(5, *event_shape)
    family = NormalLikelihood(event_shape)
    nn.init.constant_(family.log_scale, 0.4)
    p, axes = family.distribution(raw), len(event_shape)
    expected = Independent(Normal(raw.view(3, 5, *event_shape), math.exp(0.4)), axes)
    assert torch.allclose(p.log_prob(x), expected.log_prob(x), atol=1e-5)
    assert torch.equal(p.mean, expected.mean)
    assert torch.allclose(p.variance, expected.variance)
    # The scale of highest likelihood is the root of the mean squared error.
    log_scale = (x - p.loc).square().mean().sqrt().log()
    nn.init.constant_(family.log_scale, log_scale.item())
    family.distribution(raw).log_prob(x).mean().backward()
    assert family.log_scale.grad.abs() < 1e-4


def test_the_scale_starts_where_it_is_reported_and_may_be_fixed():
    learned, fixed = NormalLikelihood((2,), initial_scale=0.3), NormalLikelihood((2,), scale=0.5)
    assert learned.log_scale.exp().item() == pytest.approx(0.3)
    assert [p is learned.log_scale for p in learned.parameters()] == [True]
    assert fixed.log_scale.exp().item() == pytest.approx(0.5)
    assert not list(fixed.parameters())


def test_normal_draws_carry_the_gradient_of_loc_and_scale():
    family = NormalLikelihood((2,), initial_scale=0.3)
    raw = torch.randn(4, 2, requires_grad=True)
    family.distribution(raw).rsample((3,)).sum().backward()
    assert torch.equal(raw.grad, torch.full_like(raw, 3.0))
    assert family.log_scale.grad.abs() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale of NormalLikelihood: expected learned or a positive number, got 0.0"),
        ({"scale": "fixed"}, "scale of NormalLikelihood: expected learned or a positive number, got 'fixed'"),
        ({"initial_scale": -1.0}, "initial_scale of NormalLikelihood: expected a finite number above 0, got -1.0"),
    ],
)
def test_a_scale_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        NormalLikelihood(**options)
    assert str(refused.value) == message


def test_a_family_without_a_shape_takes_the_models_and_is_not_changed():
    family = NormalLikelihood()
    shaped = family.of_event_shape((2, 3))
    assert shaped.num_parameters == 6
    assert shaped.log_scale is not family.log_scale
    with pytest.raises(ValueError, match="event_shape of NormalLikelihood: expected a shape, got None"):
        family.num_parameters  # noqa: B018
    with pytest.raises(ValueError, match=r"expected \(4,\), got \(2, 3\)"):
        shaped.of_event_shape((4,))
