"""All values of a discrete distribution, against a loop over combinations; its probabilities; what has a mean."""

import itertools

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import Switches, truncated

from reparam_suite.distributions import (
    bernoulli,
    categorical,
    has_mean,
    is_discrete,
    is_real,
    mean_of,
    multivariate_normal,
    normal,
    num_states,
    probabilities,
    support_of,
    von_mises,
)

B = 2
LOGITS = torch.linspace(-1.0, 1.3, 12, dtype=torch.float64)
QS = {
    "bits": (bernoulli(LOGITS[:6].reshape(B, 3)), [[0.0], [1.0]], 3),
    "one-hot": (categorical(LOGITS.reshape(B, 2, 3)), torch.eye(3).tolist(), 2),
    "one-hot of PyTorch": (
        td.Independent(td.OneHotCategorical(logits=LOGITS.reshape(B, 2, 3)), 1),
        torch.eye(3).tolist(),
        2,
    ),
    "categorical": (td.Independent(td.Categorical(logits=LOGITS.reshape(B, 2, 3)), 1), [[0.0], [1.0], [2.0]], 2),
    "truncated": (truncated(LOGITS[:4].reshape(B, 2)), [[0.0], [1.0], [2.0], [3.0]], 2),
    "bits in two axes": (td.Independent(td.Bernoulli(logits=LOGITS[:8].reshape(B, 2, 2)), 2), [[0.0], [1.0]], 4),
    "one latent": (td.OneHotCategorical(logits=LOGITS[:6].reshape(B, 3)), torch.eye(3).tolist(), 1),
}


@pytest.mark.parametrize("name", QS)
def test_every_value_is_there_once_and_their_probabilities_sum_to_one(name):
    q, of_one, num_latents = QS[name]
    z = support_of(q)
    assert num_states(q) == len(z) == len(of_one) ** num_latents
    assert z.shape == (len(z), *q.batch_shape, *q.event_shape)
    expected = {tuple(itertools.chain(*values)) for values in itertools.product(of_one, repeat=num_latents)}
    for datum in range(B):
        assert {tuple(state) for state in z[:, datum].flatten(1).double().tolist()} == expected
    torch.testing.assert_close(q.log_prob(z).exp().sum(0), torch.ones(B, dtype=torch.float64))


def test_continuous_ones_have_none():
    q = normal(torch.zeros(2, 3), torch.ones(2, 3))
    assert support_of(q) is None
    assert num_states(q) is None
    assert support_of(td.Independent(td.Poisson(torch.ones(2, 3)), 1)) is None


def test_bits_and_classes_are_known_by_their_support():
    p = torch.tensor([[0.1, 0.9, 0.5]])
    assert torch.equal(probabilities(Switches(p)), p)
    assert torch.equal(probabilities(td.Independent(td.Bernoulli(probs=p), 1)), p)
    of_classes = probabilities(categorical(LOGITS.reshape(B, 2, 3)))
    torch.testing.assert_close(of_classes, LOGITS.reshape(B, 2, 3).softmax(-1))
    others = [QS["categorical"], QS["truncated"], QS["bits in two axes"], QS["one latent"]]
    for q in (*(q for q, *_ in others), normal(p, p), td.Independent(td.Beta(p, p), 1)):
        assert probabilities(q) is None


def test_what_a_distribution_says_of_its_values():
    loc, scale = torch.zeros(2, 3), torch.ones(2, 3)
    gaussian, beta = normal(loc, scale), td.Independent(td.Beta(scale, scale), 1)
    silent = td.Distribution(validate_args=False)
    assert is_real(gaussian)
    assert is_real(multivariate_normal(loc, torch.eye(3).expand(2, 3, 3)))
    assert not any(map(is_real, (beta, Switches(scale / 2), QS["one-hot"][0], silent)))
    assert is_discrete(QS["truncated"][0])
    assert is_discrete(td.Independent(td.Poisson(scale), 1))
    assert not any(map(is_discrete, (gaussian, beta, silent)))


def test_what_has_a_mean():
    loc, scale = torch.zeros(2, 3), torch.ones(2, 3)
    flow = td.TransformedDistribution(normal(loc, scale), [td.ExpTransform()])
    assert has_mean(normal(loc, scale))
    assert has_mean(Switches(scale / 2))
    assert not any(map(has_mean, (flow, von_mises(loc, scale), QS["categorical"][0])))
    assert mean_of(flow) is None
    assert torch.equal(mean_of(normal(loc, scale)), loc)
