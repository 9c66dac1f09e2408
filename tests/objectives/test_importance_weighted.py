"""Multi-sample bounds as expectations."""

import pytest
import torch
from tests.objectives.small import Bits, LinearGaussian, X

from reparam_suite.estimators import Average, Enumeration, LogMeanExp, Pathwise
from reparam_suite.models import held_out_bounds
from reparam_suite.objectives import ELBO, ImportanceWeighted


def test_training_and_evaluation_are_one_number():
    """Under the exact posterior both are log p(x) without noise."""
    model = LinearGaussian()
    objective = Pathwise(num_samples=5)(ImportanceWeighted()(model, X, 0)).objective
    assert torch.allclose(objective, held_out_bounds(model, X, 5)["bound"], atol=1e-12)


def test_all_of_log_q_is_inside_f():
    model = Bits()
    z, q = model.states(), model.posterior(X)
    target = ImportanceWeighted()(model, X, 0)
    expected = model.log_likelihood(X, z) + model.prior().log_prob(z) - q.log_prob(z)
    assert torch.allclose(target.f(z, q), expected)
    assert target.exact is None
    assert target.context is X


def test_the_bound_is_passed_on():
    bound = LogMeanExp()
    assert ImportanceWeighted(bound=bound)(Bits(), X, 0).bound is bound
    assert isinstance(ImportanceWeighted()(Bits(), X, 0).bound, LogMeanExp)
    assert ImportanceWeighted().record_as == "bound"


def test_an_average_of_values_is_the_elbo():
    model = Bits()
    averaged = Enumeration()(ImportanceWeighted(bound=Average())(model, X, 0)).objective
    assert torch.allclose(averaged, Enumeration()(ELBO()(model, X, 0)).objective)


class Layered:
    """A density that is an estimate."""

    def log_ratio(self, z):
        raise AssertionError


def test_a_prior_of_several_layers_is_refused():
    model = Bits()
    model.prior = Layered
    with pytest.raises(ValueError, match="objective: expected ELBO for a prior of several layers"):
        ImportanceWeighted()(model, X, 0)
