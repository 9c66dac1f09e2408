"""The general road against one backward pass for each gradient, and against the fast road."""

import pytest
import torch
from tests.diagnostics.cases import CASES, Case, data
from tests.diagnostics.roads import assert_same_variance

from reparam_suite.diagnostics.batches import repeated
from reparam_suite.diagnostics.datumwise import datumwise_sums, explicit_gradients
from reparam_suite.diagnostics.gradients import gradient_sums
from reparam_suite.diagnostics.layout import objective_of
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.estimators import Enumeration, Quadrature


@pytest.mark.parametrize("case", CASES[::7], ids=str)
def test_explicit_gradients_are_those_of_one_backward_pass_each(case: Case):
    model, x = case.model(), data(2)
    with torch.random.fork_rng(), measuring(model):
        torch.manual_seed(2)
        drawn = explicit_gradients(model, x, 3)
        torch.manual_seed(2)
        objective = objective_of(model, repeated(x, 3), 6)[1].view(3, 2)
        wanted = model.parameter_groups()["encoder"]
        for r in range(3):
            for b in range(2):
                one = torch.autograd.grad(objective[r, b], wanted, retain_graph=True, materialize_grads=True)
                for ours, theirs in zip(drawn.by_group["encoder"], one, strict=True):
                    torch.testing.assert_close(ours[b, r], theirs)


NOISY = [case for case in CASES if not isinstance(case.estimator, Enumeration | Quadrature)]


@pytest.mark.parametrize("case", NOISY[::5], ids=str)
def test_datum_by_datum_agrees_too(case: Case):
    model, x = case.model(), data(3)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        with measuring(model):
            slow = datumwise_sums(model, x, 100, per_element=True)
        fast = gradient_sums(model, x, 100, per_element=True)
    assert list(fast) == list(slow)
    for name, sums in slow.items():
        ours, theirs = fast[name].statistics(), sums.statistics()
        assert_same_variance(ours, theirs, name)
        assert [variance.shape for variance in ours.element_variances] == [
            variance.shape for variance in theirs.element_variances
        ]
