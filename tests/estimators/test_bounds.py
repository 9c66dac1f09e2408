"""Bounds against their definitions: value, credit, leave-one-out and path weight."""

import math

import pytest
import torch

from reparam_suite.estimators import Average, Bound, LogMeanExp

F = torch.tensor([[0.3, -40.0], [1.7, -41.5], [-0.4, -39.0]], dtype=torch.float64)  # [K, B]
BOUNDS = [Average(), LogMeanExp()]


def by_definition(bound: Bound, f: torch.Tensor) -> torch.Tensor:
    return f.mean(0) if isinstance(bound, Average) else (f.exp().sum(0) / len(f)).log()


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: type(bound).__name__)
def test_the_value_is_by_definition_and_that_of_one_sample_is_itself(bound):
    torch.testing.assert_close(bound.value(F), by_definition(bound, F))
    torch.testing.assert_close(bound.value(F[:1]), F[0])


def test_leave_one_out_is_the_value_less_that_with_the_sample_replaced_by_the_mean_of_the_others():
    for bound in BOUNDS:
        for k in range(len(F)):
            others = torch.cat([F[:k], F[k + 1 :]])
            replaced = torch.cat([others, others.mean(0, keepdim=True)])
            expected = by_definition(bound, F) - by_definition(bound, replaced)
            torch.testing.assert_close(bound.leave_one_out(F)[k], expected)


def test_credits_less_a_baseline():
    baseline = torch.tensor(0.25, dtype=torch.float64)
    torch.testing.assert_close(Average().credit(F, baseline), (F - 0.25) / 3)
    torch.testing.assert_close(LogMeanExp().credit(F, baseline), (LogMeanExp().value(F) - 0.25).expand_as(F))


def test_path_weights():
    assert torch.equal(Average().path_weight(F), torch.full_like(F, 1 / 3))
    weights = F.exp() / F.exp().sum(0)
    torch.testing.assert_close(LogMeanExp().path_weight(F), weights.square())


def test_values_at_the_ends_of_the_numbers():
    f = torch.tensor([[1e4], [-1e4]], dtype=torch.float64)
    torch.testing.assert_close(LogMeanExp().value(f), torch.tensor([1e4 - math.log(2)], dtype=torch.float64))
    assert LogMeanExp().leave_one_out(f).isfinite().all()


def test_a_bound_of_ones_own_is_a_bound():
    class Least:
        score_vanishes = admits_exact = False

        def value(self, f):
            return f.amin(0)

        credit = leave_one_out = path_weight = value

    assert isinstance(Least(), Bound)
    assert not isinstance(object(), Bound)
