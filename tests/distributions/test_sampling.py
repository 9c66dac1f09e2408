"""Samples: hard, reparameterized, by quantiles, relaxed; and which of these a distribution has."""

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import Flow, logistic, quantile_logistic, tanh_normal, truncated
from torch import nn

from reparam_suite.distributions import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    factors,
    gamma,
    has_inverse_cdf,
    inverse_cdf,
    is_reparameterized,
    multivariate_normal,
    normal,
    relaxed,
    samples,
    standard_normal,
    von_mises,
)

PHI = torch.linspace(-0.6, 0.8, 12, dtype=torch.float64).reshape(3, 4)
ONES = torch.ones(3, 4)

REPARAMETERIZED = {
    "normal": (normal(ONES, ONES), True),
    "multivariate_normal": (multivariate_normal(torch.zeros(3), torch.eye(3)), True),
    "gamma": (gamma(ONES, ONES), True),
    "beta": (beta(ONES, ONES), True),
    "dirichlet": (dirichlet(ONES), True),
    "von_mises": (von_mises(ONES, ONES), True),
    "von_mises of PyTorch": (td.VonMises(ONES, ONES), False),
    "bernoulli": (bernoulli(ONES), False),
    "categorical": (categorical(ONES), False),
    "straight-through": (td.Independent(td.OneHotCategoricalStraightThrough(logits=ONES), 1), False),
    "mixture": (td.MixtureSameFamily(td.Categorical(logits=ONES), td.Normal(ONES, ONES)), False),
    "logistic": (logistic(PHI), True),
    "tanh_normal": (tanh_normal(PHI), True),
    "truncated": (truncated(PHI), False),
    "flow": (Flow(nn.Linear(5, 2), PHI), True),
    "relaxed": (td.RelaxedBernoulli(torch.tensor(0.5), logits=ONES), True),
    "transformed bits": (td.TransformedDistribution(td.Bernoulli(logits=ONES), [td.AffineTransform(0.0, 2.0)]), False),
}


@pytest.mark.parametrize("name", REPARAMETERIZED)
def test_who_is_reparameterized(name):
    q, expected = REPARAMETERIZED[name]
    assert is_reparameterized(q) == expected


QUANTILES = {
    "normal": lambda: normal(PHI, PHI.exp()),
    "multivariate_normal": lambda: multivariate_normal(
        PHI, torch.eye(4).double() * 0.7 + torch.ones(4, 4).double().tril(-1)
    ),
    "bernoulli": lambda: bernoulli(PHI),
    "logistic": lambda: quantile_logistic(PHI),
}


@pytest.mark.parametrize("name", QUANTILES)
def test_quantiles_of_uniforms_have_the_law(name):
    q = QUANTILES[name]()
    assert has_inverse_cdf(q)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        u = torch.rand(100_000, *q.batch_shape, *q.event_shape, dtype=torch.float64)
        expected = q.sample((100_000,))
    z = inverse_cdf(q, u)
    for moment in (lambda z: z, lambda z: z.square(), lambda z: (z > 0.3).double()):
        ours, theirs = moment(z), moment(expected)
        error = ((ours.var(0) + theirs.var(0)) / len(z)).sqrt()
        assert ((ours.mean(0) - theirs.mean(0)).abs() < 5.5 * error).all()
    if name not in ("bernoulli", "multivariate_normal"):
        assert (inverse_cdf(q, torch.full_like(u[:1], 0.9)) > inverse_cdf(q, torch.full_like(u[:1], 0.2))).all()


def test_where_quantiles_are_not_known_there_are_none():
    for q in (logistic(PHI), categorical(ONES), gamma(ONES, ONES), Flow(nn.Linear(5, 2), PHI)):
        assert not has_inverse_cdf(q)
        assert inverse_cdf(q, torch.rand(2, *q.batch_shape, *q.event_shape)) is None


@pytest.mark.parametrize("make", [bernoulli, categorical])
def test_relaxed_samples_round_to_samples_of_q_and_carry_a_gradient(make):
    logits = PHI.clone().requires_grad_()
    q = make(logits)
    soft = relaxed(q, 0.3)
    assert (soft.batch_shape, soft.event_shape) == (q.batch_shape, q.event_shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z = soft.rsample((100_000,))
    hard = z.round() if make is bernoulli else torch.nn.functional.one_hot(z.argmax(-1), 4).double()
    error = hard.std(0) / len(z) ** 0.5
    assert ((hard.mean(0) - q.mean).abs() < 5.5 * error).all()
    assert (torch.autograd.grad((z * torch.arange(1.0, 5.0)).sin().sum(), logits)[0] != 0).all()


def test_a_method_of_its_own_relaxes_a_distribution():
    class Own(td.Bernoulli):
        def relaxed(self, temperature):
            return td.RelaxedBernoulli(torch.tensor(temperature), logits=self.logits)

    assert isinstance(relaxed(Own(logits=ONES), 0.5), td.RelaxedBernoulli)
    assert relaxed(logistic(PHI), 0.5) is None


def test_samples_carry_no_gradient_and_are_the_tensor_that_a_transform_remembers():
    q = tanh_normal(PHI.clone().requires_grad_())
    z = samples(q, 3)
    assert not z.requires_grad
    assert z.shape == (3, 3, 2)
    assert q.base_dist.transforms[0]._cached_x_y[1] is z


def test_factors_take_independent_off_and_translate_pytorchs_classes():
    logits = PHI.reshape(2, 3, 2)
    inner = factors(td.Independent(td.Independent(td.Normal(logits, 1.0), 1), 1))
    assert type(inner) is td.Normal
    one_hot = factors(td.Independent(td.OneHotCategorical(logits=logits), 1))
    assert type(one_hot) is type(factors(categorical(logits)))
    torch.testing.assert_close(one_hot.logits, logits.log_softmax(-1))
    assert type(factors(td.Independent(td.Bernoulli(logits=logits), 2))) is type(factors(bernoulli(logits)))
    assert type(factors(standard_normal(logits))) is not td.Normal
