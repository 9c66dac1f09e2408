"""The fast road against explicit gradients of the same forward pass, and against the slow loop."""

import pytest
import torch
from tests.diagnostics.cases import CASES, Case, data, library
from tests.diagnostics.roads import assert_same_variance

from reparam_suite.diagnostics import gradient_statistics, naive_gradient_statistics
from reparam_suite.diagnostics.datumwise import explicit_gradients
from reparam_suite.diagnostics.measuring import measuring


def test_every_estimator_of_the_library_is_among_the_cases():
    assert {type(case.estimator) for case in CASES} == set(library())


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.num_layers == 1 or case.name], ids=str)
def test_the_two_roads_agree_within_standard_errors(case: Case):
    model, x = case.model(), data(3)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 150)
        fast = gradient_statistics(model, x, 200, memory_budget=2**31)
    assert list(fast) == list(slow)
    for name in fast:
        assert_same_variance(fast[name], slow[name], name)


def test_data_variance_is_that_of_the_expected_gradient_over_minibatches():
    # With Enumeration there is no other noise: the gradients of single data are exact.
    case = next(known for known in CASES if str(known) == "Enumeration-Average-bits")
    model, x = case.model(), data(5)
    statistics = gradient_statistics(model, x)["encoder"]
    with measuring(model):
        drawn = explicit_gradients(model, x, 1).by_group["encoder"]
    spread = torch.cat([gradient[:, 0].flatten(1) for gradient in drawn], -1).var(0).sum()
    torch.testing.assert_close(statistics.data_variance, spread / 5)
    assert statistics.variance < 1e-12 * statistics.squared_norm
