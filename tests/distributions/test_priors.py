"""Priors start standard, and learn if they may."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from reparam_suite.distributions import (
    BernoulliPrior,
    CategoricalPrior,
    DiagonalNormal,
    FactorizedBernoulli,
    FactorizedCategorical,
    FullCovarianceNormal,
    NormalPrior,
    OneHotCategorical,
    StandardNormal,
    family,
)

FAMILIES = [
    (DiagonalNormal(3), StandardNormal, NormalPrior, Normal, {"loc", "log_scale"}, (0.0, 1.0)),
    (FullCovarianceNormal(3), StandardNormal, NormalPrior, Normal, {"loc", "log_scale"}, (0.0, 1.0)),
    (FactorizedBernoulli(3), BernoulliPrior, BernoulliPrior, Bernoulli, {"logits"}, (0.5, 0.25)),
    (
        FactorizedCategorical(3, num_classes=4),
        CategoricalPrior,
        CategoricalPrior,
        OneHotCategorical,
        {"logits"},
        (0.25, 0.1875),
    ),
]


@pytest.mark.parametrize(("latents", "fixed", "learned", "of", "parameters", "moments"), FAMILIES)
def test_a_prior_starts_standard_and_learns_if_it_may(latents, fixed, learned, of, parameters, moments):
    still, moving = latents.prior(learned=False), latents.prior(learned=True)
    assert type(still) is fixed
    assert type(moving) is learned
    for prior in (still, moving):
        p = prior()
        assert family(p) is of
        assert (p.batch_shape, p.event_shape) == ((), latents.event_shape)
        assert torch.allclose(p.mean, torch.tensor(moments[0]))
        assert torch.allclose(p.variance, torch.tensor(moments[1]))
    assert not any(p.requires_grad for p in still.parameters())
    assert {name for name, _ in moving.named_parameters()} == parameters
    moving().log_prob(moving().sample((8,))).sum().backward()
    assert all(p.grad.any() for p in moving.parameters())
