"""Which state of a set came first, by subsets and by an integral, against a sum over all orders."""

import math
from itertools import permutations

import pytest
import torch

from reparam_suite.estimators.first_of_a_set import MOST_IN_SUBSETS, Subsets, first_of_a_set

ROADS = [lambda q, rest: Subsets(len(q))(q, rest), first_of_a_set]


def states(num_states: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """States and the rest of two data."""
    noise = torch.Generator().manual_seed(num_states)
    logits = scale * torch.randn((num_states + 1, 2), generator=noise, dtype=torch.float64)
    log_p = logits.log_softmax(0)
    return log_p[:-1], log_p[-1]


def by_orders(log_q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The obvious loop."""
    q = log_q.exp()
    num_states = len(q)
    first, second = torch.zeros_like(q), torch.zeros(num_states, *q.shape, dtype=q.dtype)
    for order in permutations(range(num_states)):
        probability, left = torch.ones_like(q[0]), torch.ones_like(q[0])
        for state in order:
            probability, left = probability * q[state] / left, left - q[state]
        first[order[0]] += probability
        second[order[0], order[1]] += probability
    return first / first.sum(0), second / second.sum(1, keepdim=True)


@pytest.mark.parametrize("road", ROADS, ids=["subsets", "integral"])
@pytest.mark.parametrize("num_states", [2, 3, 5])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_it_is_the_sum_over_all_orders(road, num_states, scale):
    log_q, log_rest = states(num_states, scale)
    for found, expected in zip(road(log_q, log_rest), by_orders(log_q), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_roads_agree_on_large_sets_and_where_one_state_is_certain(scale):
    log_q, log_rest = states(MOST_IN_SUBSETS, scale)
    for found, expected in zip(Subsets(len(log_q))(log_q, log_rest), first_of_a_set(log_q, log_rest), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)


def test_a_set_of_all_states_and_one_that_is_never_left():
    log_q = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64).log()
    for weight, others in (road(log_q, torch.tensor(-math.inf, dtype=torch.float64)) for road in ROADS[:1]):
        torch.testing.assert_close(weight, log_q.exp())
        assert others.diagonal().abs().max() == 0.0
        torch.testing.assert_close(others.sum(1), torch.ones(3, dtype=torch.float64))
    almost = torch.tensor([-1e-30, -200.0, -300.0])
    assert all(part.isfinite().all() for part in Subsets(3)(almost, torch.tensor(-250.0)))
