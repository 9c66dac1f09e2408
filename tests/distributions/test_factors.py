"""The factors of a distribution and their family, whatever they are wrapped in."""

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import Logistic

from reparam_suite.distributions import (
    FiniteBernoulli,
    OneHotCategorical,
    bernoulli,
    categorical,
    factors,
    family,
    normal,
    standard_normal,
    translated,
)

LOGITS = torch.linspace(-2.0, 1.0, 12).reshape(2, 2, 3)


@pytest.mark.parametrize(
    ("q", "cls"),
    [
        (bernoulli(LOGITS), td.Bernoulli),
        (td.Independent(td.Bernoulli(logits=LOGITS), 1), td.Bernoulli),
        (categorical(LOGITS), OneHotCategorical),
        (td.Independent(td.OneHotCategorical(logits=LOGITS), 1), OneHotCategorical),
        (td.Independent(td.OneHotCategoricalStraightThrough(logits=LOGITS), 1), OneHotCategorical),
        (normal(LOGITS, LOGITS.exp()), td.Normal),
        (standard_normal(LOGITS), td.Normal),
        (td.Independent(td.Independent(Logistic(LOGITS, LOGITS.exp()), 1), 1), Logistic),
    ],
)
def test_the_family_whatever_the_variant(q, cls):
    assert family(q) is cls
    assert factors(q).batch_shape + factors(q).event_shape == LOGITS.shape


def test_bits_and_one_hot_latents_of_pytorch_become_ours_and_keep_their_law_and_gradient():
    logits = LOGITS.clone().requires_grad_()
    for theirs in (td.Bernoulli(logits=logits), td.OneHotCategorical(logits=logits)):
        q = td.Independent(theirs, 1)
        ours = translated(q)
        assert isinstance(factors(ours), FiniteBernoulli | OneHotCategorical)
        z = q.sample()
        torch.testing.assert_close(ours.log_prob(z), q.log_prob(z))
        (gradient,) = torch.autograd.grad(ours.log_prob(z).sum(), logits, retain_graph=True)
        (expected,) = torch.autograd.grad(q.log_prob(z).sum(), logits, retain_graph=True)
        torch.testing.assert_close(gradient, expected)


def test_any_other_distribution_is_itself():
    for q in (normal(LOGITS, LOGITS.exp()), bernoulli(LOGITS), td.Independent(Logistic(LOGITS, LOGITS.exp()), 1)):
        assert translated(q) is q
