"""States taken from a product of latents, against all of its states in a list."""

import itertools

import pytest
import torch
from tests.statistics import LIMIT

from reparam_suite.distributions import bernoulli, categorical
from reparam_suite.estimators.distinct_states import Remainder, log_probabilities, most_probable

NUM_CLASSES = 3
LOGITS = torch.tensor([[[0.3, -1.0, 0.4], [2.0, 0.1, -0.2], [0.0, 0.7, -3.0]]], dtype=torch.float64)  # [B, D, C]
LOG_P = log_probabilities(categorical(LOGITS))
STATES = torch.tensor(list(itertools.product(range(NUM_CLASSES), repeat=3)))  # [S, D]
LOG_MASS = LOG_P[0, torch.arange(3), STATES].sum(-1)


def test_log_probabilities_of_bits_and_classes_however_certain():
    torch.testing.assert_close(LOG_P, LOGITS.log_softmax(-1))
    logits = torch.tensor([[-0.5, 1.5, 800.0]], dtype=torch.float64)
    found = log_probabilities(bernoulli(logits))
    torch.testing.assert_close(found[..., 1], -torch.nn.functional.softplus(-logits))
    torch.testing.assert_close(found[..., 0], -torch.nn.functional.softplus(logits))


@pytest.mark.parametrize("num_states", [1, 2, 9, 27])
def test_the_most_probable_states_best_first(num_states):
    found = most_probable(LOG_P, num_states)
    assert found.shape == (num_states, 1, 3)
    by_list = STATES[LOG_MASS.argsort(descending=True)[:num_states]]
    assert torch.equal(found[:, 0], by_list)


def test_what_is_left_has_the_mass_and_the_law_of_the_states_that_are_not_taken():
    taken = most_probable(LOG_P, 5)[:, 0]
    left = Remainder(LOG_P, capacity=5)
    for state in taken:
        left.take(state.unsqueeze(0))
    is_left = ~(STATES.unsqueeze(1) == taken).all(-1).any(-1)
    torch.testing.assert_close(left.log_mass(), LOG_MASS[is_left].logsumexp(0, keepdim=True))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = left.draw(40_000)[:, 0]
    place = (drawn * torch.tensor([9, 3, 1])).sum(-1)  # in STATES
    frequency = torch.bincount(place, minlength=27) / len(drawn)
    expected = torch.where(is_left, LOG_MASS, -torch.inf).softmax(0)
    assert torch.equal(frequency[~is_left], torch.zeros(5))
    error = (expected * (1.0 - expected) / len(drawn)).sqrt()
    assert ((frequency - expected).abs()[is_left] < LIMIT * error[is_left]).all()
