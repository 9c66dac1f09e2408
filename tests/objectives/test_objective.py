"""What counts as an objective, and what a learned baseline is given of x."""

import torch
from tests.objectives.small import Bits, X

from reparam_suite.distributions import bernoulli
from reparam_suite.objectives import ELBO, Objective
from reparam_suite.objectives.objective import context_of


def test_a_function_and_an_object_that_can_be_called_are_objectives():
    assert isinstance(ELBO(), Objective)
    assert isinstance(lambda model, x, step: None, Objective)
    assert not isinstance(Bits(), Objective)


def test_the_context_is_the_data_flattened():
    """Over the axes that q's batch has not; rows stay the tensor that they are."""
    images = torch.arange(24.0).reshape(2, 3, 2, 2)
    q, at_steps = bernoulli(torch.zeros(2, 5)), bernoulli(torch.zeros(2, 3, 5))
    assert context_of(images, q).tolist() == [list(range(12)), list(range(12, 24))]
    assert context_of(images, at_steps).tolist()[1] == [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]]
    rows = torch.ones(2, 7)
    assert context_of(rows, q) is rows
    assert context_of(torch.tensor([3.0, 4.0]), q).tolist() == [[3.0], [4.0]]


def test_an_objective_of_the_suite_gives_it():
    assert ELBO()(Bits(), X, 0).context is X
