"""Problems over bits and one-hot latents against all of their states at once."""

import pytest
import torch
from tests.problems.exact import value

from reparam_suite.estimators import LogMeanExp
from reparam_suite.problems import (
    BernoulliModel,
)
from reparam_suite.problems.catalogue import BERNOULLI, CATEGORICAL

DISCRETE = [make() for make in (*BERNOULLI, *CATEGORICAL)]


@pytest.mark.parametrize("problem", DISCRETE, ids=str)
def test_the_value_of_discrete_latents_is_that_of_their_states_at_once(problem):
    q = problem.q(problem.phi)
    corners = torch.tensor(problem.values_of_a_latent(), dtype=torch.float64)
    states = torch.cartesian_prod(*[torch.arange(len(corners))] * problem.num_latents)
    z = corners[states].reshape(len(states), *q.event_shape)
    weight = q.log_prob(z).exp()
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    at_once = (weight * problem.integrand(problem.theta)(z, q)).sum()
    assert at_once == pytest.approx(value(problem).item(), abs=1e-12)


def test_more_samples_make_the_bound_tighter():
    values = [value(BernoulliModel(bound=LogMeanExp(), num_samples=k)).item() for k in (1, 2, 3)]
    assert values[0] == pytest.approx(value(BernoulliModel()).item(), abs=1e-12), "one sample is the evidence bound"
    assert values[0] < values[1] - 0.01 < values[2] - 0.01
