"""The variance over minibatches: exact where the gradient has no other noise, and its standard error over many sets."""

import pytest
import torch
from tests.diagnostics.cases import NUM_FEATURES, Case
from tests.statistics import LIMIT

from reparam_suite.diagnostics import add, data_variance, gradient_sums, grouped_sums
from reparam_suite.diagnostics.datumwise import datumwise_sums
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.estimators import Enumeration, ScoreFunction


def rows(num_data: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.linspace(0.1, 0.8, NUM_FEATURES, dtype=torch.float64).expand(num_data, -1)
    return torch.bernoulli(probabilities, generator=generator)


def test_groups_add_up_to_the_whole_minibatch_and_leaving_one_out_is_a_jackknife():
    """Without other noise, groups of one datum: the textbook's variance, and its delete-one jackknife."""
    model, x = Case(Enumeration(), "bits").model(), rows(7, 0)
    groups = grouped_sums(model, x, num_groups=7, per_element=True)
    whole = gradient_sums(model, x, per_element=True)
    with measuring(model):
        single = torch.stack([datumwise_sums(model, part, 4)["encoder"].gradient for part in x.split(1)])
    assert list(groups) == list(whole)
    for name, sums in groups.items():
        torch.testing.assert_close(add(sums).gradient, whole[name].gradient)
        torch.testing.assert_close(add(sums).squared_norm, whole[name].squared_norm)
    measured = data_variance(groups["encoder"])
    torch.testing.assert_close(measured.value, single.var(0).sum() / 7)
    torch.testing.assert_close(measured.value, whole["encoder"].statistics().data_variance)
    without = torch.stack([torch.cat([single[:b], single[b + 1 :]]).var(0).sum() / 7 for b in range(7)])
    expected = ((without - without.mean()).square().sum() * 6 / 7).sqrt()
    torch.testing.assert_close(measured.standard_error, expected)


def test_noise_of_the_estimator_is_taken_off_and_the_standard_error_is_that_of_many_sets_of_data():
    """A noisy estimator on 150 sets of 40 data: right in the mean, and spread as the standard error says."""
    noisy, exact = Case(ScoreFunction(), "bits").model(), Case(Enumeration(), "bits").model()
    truth = data_variance(grouped_sums(exact, rows(4_000, 99))["encoder"]).value * 4_000 / 40
    with torch.random.fork_rng():
        torch.manual_seed(1)
        found = []
        for seed in range(150):
            found.append(data_variance(grouped_sums(noisy, rows(40, seed), num_groups=10)["encoder"]))
            torch.rand(1)  # the next set has noise of its own
    values = torch.stack([variance.value for variance in found])
    errors = torch.stack([variance.standard_error for variance in found])
    spread = values.std()
    assert (values.mean() - truth).abs() < LIMIT * spread / 150**0.5
    noise = gradient_sums(noisy, rows(40, 0), 50)["encoder"].statistics().variance
    assert noise / 4 > LIMIT * spread / 150**0.5, "noise that were left in would be seen"
    # The standard deviation of 150 is known to 6 %, a jackknife errs upwards by little.
    assert float(errors.square().mean().sqrt() / spread) == pytest.approx(1.0, abs=0.3)


def test_shards_of_unequal_size():
    model, x = Case(Enumeration(), "bits").model(), rows(11, 0)
    measured = data_variance(grouped_sums(model, x, num_groups=3)["encoder"])
    torch.testing.assert_close(measured.value, gradient_sums(model, x)["encoder"].statistics().data_variance)


def test_fewer_data_than_groups_are_taken_one_by_one():
    model = Case(Enumeration(), "bits").model()
    assert len(grouped_sums(model, rows(2, 0))["encoder"]) == 2
    assert torch.isnan(data_variance(grouped_sums(model, rows(1, 0))["encoder"]).value)


def test_what_cannot_be_measured_is_refused():
    model, x = Case(Enumeration(), "bits").model(), rows(4, 0)
    with pytest.raises(ValueError, match="num_groups: expected at least 3, for a standard error, got 2"):
        grouped_sums(model, x, num_groups=2)
    with pytest.raises(ValueError, match="parameters that all data share"):
        data_variance(grouped_sums(model, x)["logits"])
