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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_that_rounding_hides_have_no_derivatives_which_would_be_denormal(dtype):
    least = 0.25 * math.log(torch.finfo(dtype).tiny)
    shares = torch.tensor([0.0, -3.0, 0.99 * least, 1.01 * least, 4.1 * least, -torch.inf], dtype=dtype)
    f = (shares.unsqueeze(1) + torch.tensor([-90.0, 2.0], dtype=dtype)).requires_grad_()
    value = LogMeanExp().value(f)
    torch.testing.assert_close(value, f.logsumexp(0) - math.log(len(f)), rtol=1e-15, atol=0.0)
    (gradient,) = torch.autograd.grad(value.sum(), f)
    weights = f.detach().softmax(0)
    torch.testing.assert_close(gradient[:3], weights[:3])
    for found in (gradient, LogMeanExp().path_weight(f).detach()):
        assert (found[3:] == 0.0).all()
        assert (found[:3] >= torch.finfo(dtype).tiny ** 0.6).all()
    torch.testing.assert_close(LogMeanExp().path_weight(f).detach()[:3], weights[:3].square())


def test_values_without_a_largest_number_are_as_before():
    f = torch.tensor([[-torch.inf, -torch.inf, torch.nan], [-torch.inf, 1.0, 0.0]])
    torch.testing.assert_close(LogMeanExp().value(f), f.logsumexp(0) - math.log(2), equal_nan=True)
