"""Families of latents: a network's numbers become a distribution over z."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from reparam_suite.distributions import (
    DiagonalNormal,
    DiscreteFamily,
    FactorizedBernoulli,
    FactorizedCategorical,
    FullCovarianceNormal,
    LatentFamily,
    NormalFamily,
    OneHotCategorical,
    family,
    kl_divergence,
    normal,
)

B, D, C = 4, 3, 5


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


FAMILIES: list[LatentFamily] = [
    DiagonalNormal(D),
    FullCovarianceNormal(D),
    FactorizedBernoulli(D),
    FactorizedCategorical(D, num_classes=C),
]


@pytest.mark.parametrize(
    ("latents", "law"), list(zip(FAMILIES, (Normal, MultivariateNormal, Bernoulli, OneHotCategorical), strict=True))
)
def test_a_family_has_the_batch_event_and_law_that_it_says(latents, law):
    raw = draw(2, B, latents.num_parameters)
    q = latents.distribution(raw)
    assert q.batch_shape == (2, B)
    assert q.event_shape == latents.event_shape
    assert family(q) is law
    assert isinstance(latents, NormalFamily) != isinstance(latents, DiscreteFamily)
    assert q.log_prob(q.sample((7,))).shape == (7, 2, B)
    # Every number of the encoder's matters.
    raw.requires_grad_()
    q = latents.distribution(raw)
    z = q.sample()
    gradient = torch.autograd.grad(q.log_prob(z).sum(), raw)[0]
    assert (gradient != 0).all()


def test_the_diagonal_normal_is_loc_and_softplus_of_the_rest():
    raw = draw(B, 2 * D)
    q = DiagonalNormal(D).distribution(raw)
    assert torch.equal(q.mean, raw[:, :D])
    assert torch.allclose(q.stddev, torch.log1p(raw[:, D:].exp()))


def test_the_full_normal_has_the_covariance_of_its_factor():
    raw = draw(B, 9)
    q = FullCovarianceNormal(D).distribution(raw)
    for row, covariance in zip(raw, q.covariance_matrix, strict=True):
        a, b, c = F.softplus(row[3:6])
        factor = torch.tensor([[a, 0, 0], [row[6], b, 0], [row[7], row[8], c]], dtype=torch.float64)
        assert torch.allclose(covariance, factor @ factor.T)
    assert torch.equal(q.mean, raw[:, :D])


def test_a_family_without_a_size_takes_the_models_and_is_not_changed():
    latents = FactorizedCategorical(num_classes=C)
    sized = latents.of_latent_size(D)
    assert (sized.event_shape, sized.num_parameters) == ((D, C), 15)
    with pytest.raises(ValueError, match="latent_size of FactorizedCategorical: expected a number, got None"):
        latents.event_shape  # noqa: B018
    with pytest.raises(ValueError, match="latent_size of FactorizedCategorical: expected 4, got 3"):
        sized.of_latent_size(4)


@pytest.mark.parametrize("cls", [DiagonalNormal, FullCovarianceNormal, FactorizedBernoulli, FactorizedCategorical])
def test_a_size_below_one_is_refused(cls):
    with pytest.raises(ValueError, match="latent_size: expected at least 1, got 0"):
        cls(0)


def test_fewer_than_two_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes: expected at least 2, got 1"):
        FactorizedCategorical(num_classes=1)


@pytest.mark.parametrize("latents", [DiagonalNormal(D), FullCovarianceNormal(D)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scale_that_underflows_has_a_density_and_a_divergence_all_the_same(latents, dtype):
    raw = torch.full((1, latents.num_parameters), -1e4, dtype=dtype)
    q = latents.distribution(raw)
    assert (q.stddev > 0).all()
    assert q.log_prob(q.mean).isfinite().all()
    assert kl_divergence(q, normal(torch.zeros(D, dtype=dtype), torch.ones(D, dtype=dtype))).isfinite()
