"""The score of each family against the gradient of its log-density, one sample at a time."""

import pytest
import torch
import torch.distributions as td

from reparam_suite.distributions import bernoulli, categorical, gamma, normal, parameters, score, score_term
from reparam_suite.distributions.factors import factors

NUM_SAMPLES, B, D, C = 4, 3, 2, 3


def leaf(*shape: int) -> torch.Tensor:
    return torch.linspace(-1.3, 1.1, torch.Size(shape).numel(), dtype=torch.float64).reshape(shape).requires_grad_()


def mixture(loc: torch.Tensor) -> td.Distribution:
    weights = td.Categorical(logits=torch.tensor([0.3, -0.4, 0.1], dtype=torch.float64).expand(loc.shape))
    return td.Independent(td.MixtureSameFamily(weights, td.Normal(loc, 0.5)), 1)


CASES = {
    "normal": lambda raw: normal(raw[..., 0], raw[..., 1].exp()),
    "gamma": lambda raw: gamma(raw[..., 0].exp(), raw[..., 1].exp()),
    "bits": lambda raw: bernoulli(raw[..., 0]),
    "classes": categorical,
    "none of ours": lambda raw: td.Independent(td.Laplace(raw[..., 0], raw[..., 1].exp()), 1),
    "a mixture": mixture,
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_the_score_is_the_gradient_of_the_log_density_of_one_sample(make):
    """Compared behind the parameters: those of one-hot latents are log-probabilities, which move together."""
    raw = leaf(B, D, C)
    q = make(raw)
    z = q.sample((NUM_SAMPLES,))
    found = score(q, z)
    own = {name: value for name, value in parameters(q).items() if value.requires_grad}
    assert set(own) <= set(found)
    for k in range(NUM_SAMPLES):
        ours = torch.autograd.grad(list(own.values()), raw, [found[name][k] for name in own], retain_graph=True)
        expected = torch.autograd.grad(q.log_prob(z[k]).sum(), raw, retain_graph=True)
        torch.testing.assert_close(ours, expected)
        assert expected[0].abs().max() > 0.1


TORCHS = {
    "bits": lambda raw: td.Independent(td.Bernoulli(logits=raw[..., 0]), 1),
    "bits by probability": lambda raw: td.Independent(td.Bernoulli(probs=raw[..., 0].sigmoid()), 1),
    "one-hot": lambda raw: td.Independent(td.OneHotCategorical(logits=raw), 1),
    "one-hot by probability": lambda raw: td.Independent(td.OneHotCategorical(probs=raw.softmax(-1)), 1),
    "straight-through": lambda raw: td.Independent(td.OneHotCategoricalStraightThrough(logits=raw), 1),
}


@pytest.mark.parametrize("make", TORCHS.values(), ids=TORCHS)
def test_scores_of_pytorchs_families_are_within_the_graph_of_what_they_were_made_with(make):
    raw = leaf(B, D, C)
    q = make(raw)
    z = q.sample((NUM_SAMPLES,))
    assert torch.equal(score(q, z)["logits"], z - factors(q).mean)
    credit = torch.linspace(-1.0, 2.0, NUM_SAMPLES * B, dtype=torch.float64).reshape(NUM_SAMPLES, B)
    (found,) = torch.autograd.grad(score_term(q, z, credit).sum(), raw)
    (expected,) = torch.autograd.grad((credit * make(raw).log_prob(z)).sum(), raw)
    torch.testing.assert_close(found, expected)
    assert expected.abs().max() > 0.1
