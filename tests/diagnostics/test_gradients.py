"""The fast road against explicit gradients of the same forward pass, and against the slow loop."""

import pytest
import torch
from tests.diagnostics.cases import CASES, Case, data, library
from tests.statistics import LIMIT
from torch import Tensor

from reparam_suite.diagnostics import GradientStatistics, gradient_statistics, naive_gradient_statistics
from reparam_suite.diagnostics.batches import num_data, repeated
from reparam_suite.diagnostics.datumwise import datumwise_sums, explicit_gradients
from reparam_suite.diagnostics.gradients import gradient_sums
from reparam_suite.diagnostics.layerwise import layerwise_sums
from reparam_suite.diagnostics.layout import objective_of
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.diagnostics.statistics import GradientSums, add
from reparam_suite.estimators import Enumeration, Quadrature

ROUNDING = 1e-9


def reference(model, x: Tensor, num_repeats: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Trace, |E g|^2 and variances by element from all gradients of all data, by the textbook."""
    with measuring(model):
        drawn = explicit_gradients(model, x, num_repeats)
    result, B = {}, num_data(x)
    for name, gradients in drawn.by_group.items():
        flat = torch.cat([gradient.reshape(B, num_repeats, -1) for gradient in gradients], -1)
        elements = flat.var(1).sum(0) / B**2
        mean = flat.mean((0, 1))
        result[name] = (elements.sum(), mean.square().sum() - elements.sum() / num_repeats, elements)
    for name, gradients in drawn.by_q.items():
        elements = gradients.var(1) / B**2
        squares = gradients.mean(1).square().sum() / B**2
        result[name] = (elements.sum(), squares - elements.sum() / num_repeats, elements.flatten())
    return result


def test_every_estimator_of_the_library_is_among_the_cases():
    assert {type(case.estimator) for case in CASES} == set(library())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer_by_layer_is_exact_on_the_noise_of_explicit_gradients(case: Case):
    model, x = case.model(), data()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = reference(model, x, 4)
        torch.manual_seed(2)
        with measuring(model):
            sums = layerwise_sums(model, x, 4, per_element=True)
    assert set(sums) == set(expected)
    for name, (variance, squared_norm, elements) in expected.items():
        got = sums[name].statistics()
        scale = float(squared_norm.abs() + variance)
        torch.testing.assert_close(got.variance, variance, rtol=ROUNDING, atol=ROUNDING * scale)
        torch.testing.assert_close(got.squared_norm, squared_norm, rtol=ROUNDING, atol=ROUNDING * scale)
        flat = torch.cat([variance.flatten() for variance in got.element_variances])
        torch.testing.assert_close(flat, elements, rtol=ROUNDING, atol=ROUNDING * scale)


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


@pytest.mark.slow
@pytest.mark.parametrize("case", [each for each in CASES if each.num_layers == 1 or each.name], ids=str)
def test_the_two_roads_agree_within_standard_errors(case: Case):
    model, x = case.model(), data(3)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 150)
        fast = gradient_statistics(model, x, 200, memory_budget=2**31)
    assert list(fast) == list(slow)
    for name in fast:
        assert_same_variance(fast[name], slow[name], name)


def assert_same_variance(a: GradientStatistics, b: GradientStatistics, name: str) -> None:
    error = (a.standard_error.square() + b.standard_error.square()).sqrt()
    rounding = ROUNDING * (a.squared_norm.abs() + b.squared_norm.abs())
    assert (a.variance - b.variance).abs() <= LIMIT * error + rounding, name
    # |E g|^2 has the standard error 2 |E g| sd / sqrt(R) and then some.
    noise = 4.0 * (a.squared_norm.abs() * b.variance / 100).sqrt() + 4.0 * b.variance / 100
    assert (a.squared_norm - b.squared_norm).abs() <= LIMIT * noise + rounding, name


NOISY = [each for each in CASES if not isinstance(each.estimator, Enumeration | Quadrature)]


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


def test_sums_of_shards_are_the_sums_of_the_whole():
    model, x = CASES[-1].model(), data(5)
    with torch.random.fork_rng(), measuring(model):
        torch.manual_seed(1)
        shards = [datumwise_sums(model, part, 4, per_element=True) for part in x.split([2, 3])]
        torch.manual_seed(1)
        whole = datumwise_sums(model, x, 4, per_element=True)
    for name, sums in whole.items():
        merged = add([shard[name] for shard in shards])
        assert isinstance(merged, GradientSums)
        ours, theirs = vars(merged.statistics()), vars(sums.statistics())
        assert {ours.pop("road"), theirs.pop("road")} == {"layer by layer"}
        assert ours.pop("off") == theirs.pop("off") == ()
        for one, other in zip(ours.values(), theirs.values(), strict=True):
            torch.testing.assert_close(one, other)


def test_data_variance_is_that_of_the_expected_gradient_over_minibatches():
    # With Enumeration there is no other noise: the gradients of single data are exact.
    case = next(each for each in CASES if str(each) == "Enumeration-Average-bits")
    model, x = case.model(), data(5)
    statistics = gradient_statistics(model, x)["encoder"]
    with measuring(model):
        drawn = explicit_gradients(model, x, 1).by_group["encoder"]
    spread = torch.cat([each[:, 0].flatten(1) for each in drawn], -1).var(0).sum()
    torch.testing.assert_close(statistics.data_variance, spread / 5)
    assert statistics.variance < 1e-12 * statistics.squared_norm
