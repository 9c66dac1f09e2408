"""All values of a discrete distribution, against a loop over combinations."""

import itertools

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import truncated

from reparam_suite.distributions import bernoulli, categorical, normal, num_states, support_of

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
