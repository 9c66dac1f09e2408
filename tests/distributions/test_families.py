import math

import pytest
import torch
from torch.distributions import Distribution, MultivariateNormal, Poisson, kl_divergence
from torch.distributions import OneHotCategorical as TorchOneHotCategorical

from reparam_suite import distributions
from reparam_suite.distributions import (
    OneHotCategorical,
    bernoulli,
    beta,
    categorical,
    dirichlet,
    family,
    frozen,
    gamma,
    multivariate_normal,
    normal,
    parameters,
    rebuilt,
    standard_normal,
    von_mises,
    with_parameters,
)

B, D, C = 4, 3, 5


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def lower(*batch: int, seed: int = 0) -> torch.Tensor:
    """Cholesky factors `[*batch, D, D]`."""
    return draw(*batch, D, D, seed=seed).tril(-1) + torch.diag_embed(draw(*batch, D, seed=seed + 1).exp())


def every_family(*batch: int) -> list[Distribution]:
    return [
        normal(draw(*batch, D), draw(*batch, D, seed=1).exp()),
        multivariate_normal(draw(*batch, D), lower(*batch)),
        bernoulli(draw(*batch, D)),
        categorical(draw(*batch, D, C)),
        gamma(draw(*batch, D).exp(), draw(*batch, D, seed=1).exp()),
        beta(draw(*batch, D).exp(), draw(*batch, D, seed=1).exp()),
        dirichlet(draw(*batch, D, C).exp()),
        von_mises(draw(*batch, D), draw(*batch, D, seed=1).exp()),
    ]


# -------------------------------------------------------------------------------------------------- one-hot categorical


def test_one_hot_log_prob_is_torchs_at_the_corners():
    logits = draw(B, D, C)
    z = TorchOneHotCategorical(logits=logits).sample((6,))
    ours = OneHotCategorical(logits=logits, validate_args=False)
    assert torch.allclose(ours.log_prob(z), TorchOneHotCategorical(logits=logits).log_prob(z))


def test_one_hot_log_prob_is_linear_between_the_corners():
    logits = draw(B, C)
    q = OneHotCategorical(logits=logits, validate_args=False)
    z = draw(B, C, seed=3).softmax(-1).requires_grad_()
    (gradient,) = torch.autograd.grad(q.log_prob(z).sum(), z)
    assert torch.allclose(gradient, logits.log_softmax(-1))
    assert torch.allclose(q.log_prob(z), (z * logits.log_softmax(-1)).sum(-1))


def test_one_hot_expands():
    q = OneHotCategorical(logits=draw(C), validate_args=False).expand((2, B))
    assert q.batch_shape == (2, B)
    assert isinstance(q, OneHotCategorical)
    assert torch.equal(q.logits[1, 2], draw(C).log_softmax(-1))


# ------------------------------------------------------------------------------------------------ parameters in and out


@pytest.mark.parametrize("q", every_family(2, B), ids=lambda q: family(q).__name__)
def test_a_distribution_is_rebuilt_from_its_parameters(q):
    z = q.sample((3,))
    again = rebuilt(q, parameters(q))
    assert torch.allclose(again.log_prob(z), q.log_prob(z), rtol=1e-14)
    assert again.batch_shape == (2, B)
    doubled = rebuilt(q, {name: 2 * value for name, value in parameters(q).items()})
    assert torch.equal(with_parameters(q, lambda value: 2 * value).log_prob(z), doubled.log_prob(z))
    assert not torch.allclose(doubled.log_prob(z), q.log_prob(z))


@pytest.mark.parametrize("index", range(8))
def test_frozen_cuts_the_parameters_off_and_nothing_else(index):
    leaf = torch.zeros((), dtype=torch.float64, requires_grad=True)
    q = with_parameters(every_family(B)[index], lambda value: value + leaf)
    z = q.sample().requires_grad_()
    still = frozen(q).log_prob(z)
    assert torch.allclose(still, q.log_prob(z), rtol=1e-14)
    # z reaches the density as before, the parameters no longer.
    by_z, by_leaf = torch.autograd.grad(still.sum(), (z, leaf), allow_unused=True)
    assert (by_z != 0).any()
    assert by_leaf is None
    assert torch.autograd.grad(q.log_prob(z).sum(), leaf, allow_unused=True)[0] is not None


def test_only_a_family_of_the_suite_is_rebuilt():
    q = Poisson(torch.ones(2))
    with pytest.raises(
        TypeError,
        match="family of q: expected one of Bernoulli, Beta, Dirichlet, Gamma, MultivariateNormal, Normal, "
        "OneHotCategorical, VonMises, got Poisson",
    ):
        rebuilt(q, parameters(q))


def test_the_validation_of_others_is_left_alone():
    assert Distribution._validate_args is True
    with pytest.raises(ValueError, match="scale"):
        torch.distributions.Normal(torch.zeros(1), -torch.ones(1))


# ----------------------------------------------------------------------------------------------------------- divergence


def test_kl_of_the_normals_is_torchs():
    q = normal(draw(B, D), draw(B, D, seed=1).exp())
    p = normal(draw(D, seed=2), draw(D, seed=3).exp())
    assert torch.allclose(distributions.kl_divergence(q, p), kl_divergence(q, p))


def test_a_standard_normal_is_the_normal_of_mean_0_and_scale_1():
    p, same = standard_normal(draw(D)), normal(torch.zeros(D).double(), torch.ones(D).double())
    z = draw(B, D, seed=2) * 3.0
    assert family(p) is torch.distributions.Normal
    assert parameters(p).keys() == parameters(same).keys()
    assert all(torch.equal(*pair) for pair in zip(parameters(p).values(), parameters(same).values(), strict=True))
    assert torch.allclose(p.log_prob(z), same.log_prob(z), rtol=1e-14)
    assert torch.allclose(p.expand((B,)).log_prob(z), same.log_prob(z), rtol=1e-14)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = p.sample((B,))
        torch.manual_seed(0)
        assert torch.equal(drawn, same.sample((B,)))


def test_the_divergence_from_a_standard_normal_and_its_gradient_are_those_from_a_normal():
    q = normal(draw(B, D).requires_grad_(), draw(B, D, seed=1).exp().requires_grad_())
    full = multivariate_normal(draw(B, D), lower(B))
    p, same = standard_normal(draw(D)), normal(torch.zeros(D).double(), torch.ones(D).double())
    kls = [distributions.kl_divergence(q, prior) for prior in (p, same)]
    assert torch.allclose(*kls)
    gradients = [torch.cat(torch.autograd.grad(kl.sum(), list(parameters(q).values()))) for kl in kls]
    assert torch.allclose(*gradients)
    assert torch.equal(distributions.kl_divergence(full, p), distributions.kl_divergence(full, same))


def test_kl_of_a_full_normal_from_a_factorised_one_is_that_between_full_ones():
    q = multivariate_normal(draw(B, D), lower(B))
    scale = draw(D, seed=3).exp()
    p = MultivariateNormal(draw(D, seed=2), scale_tril=torch.diag(scale))
    expected = kl_divergence(q, p.expand((B,)))
    assert torch.allclose(distributions.kl_divergence(q, normal(draw(D, seed=2), scale)), expected)


@pytest.mark.parametrize("index", [2, 3])
def test_kl_of_discrete_latents_is_the_sum_over_their_states(index):
    q, p = every_family(B)[index], with_parameters(every_family()[index], lambda value: value.flip(-1) * 1.7)
    corners = torch.eye(2, dtype=torch.float64)[:, 1:] if index == 2 else torch.eye(C, dtype=torch.float64)
    states = torch.cartesian_prod(*[torch.arange(len(corners))] * D)
    z = corners[states].reshape(len(states), 1, *q.event_shape).expand(-1, B, *q.event_shape)
    log_q, log_p = q.log_prob(z), p.log_prob(z)
    assert torch.allclose(log_q.exp().sum(0), torch.ones(B, dtype=torch.float64)), "these are all of the states"
    assert torch.allclose(distributions.kl_divergence(q, p), (log_q.exp() * (log_q - log_p)).sum(0))


@pytest.mark.parametrize("logit", [60.0, 800.0])
def test_kl_of_a_certain_bit_from_a_fair_one_is_log_2(logit):
    # In probabilities it would be 0 * log 0.
    q = bernoulli(torch.tensor([[logit], [-logit]]).requires_grad_())
    kl = distributions.kl_divergence(q, bernoulli(torch.zeros(1)))
    assert torch.allclose(kl, torch.full((2,), math.log(2.0)), rtol=0, atol=1e-7 * logit)
    (gradient,) = torch.autograd.grad(kl.sum(), parameters(q)["logits"])
    assert (gradient.abs() < 1e-20).all()


def test_kl_of_a_certain_class_from_the_uniform_is_log_c():
    logits = torch.tensor([[[900.0, 0.0, 0.0, 0.0]]])
    kl = distributions.kl_divergence(categorical(logits), categorical(torch.zeros(1, 4)))
    assert torch.allclose(kl, torch.tensor(math.log(4.0)))


@pytest.mark.parametrize("q", every_family(B), ids=lambda q: family(q).__name__)
def test_a_family_is_rebuilt_with_parameters_of_another_batch_shape(q):
    repeated = with_parameters(q, lambda value: value.repeat(3, *(1,) * (value.dim() - 1)))
    assert (repeated.batch_shape, repeated.event_shape) == ((3 * B,), q.event_shape)
    z = q.sample()
    assert torch.allclose(repeated.log_prob(z.repeat(3, *(1,) * (z.dim() - 1)))[B : 2 * B], q.log_prob(z))
