"""When a row is called the best of its column."""

import math

import pytest
from scipy.stats import ttest_ind

from reparam_suite.comparison.groups import Group
from reparam_suite.comparison.quantities import Quantity
from reparam_suite.comparison.significance import best, holm, welch
from reparam_suite.tracking import RecordedRun

ELBO = Quantity("test/elbo", "test ELBO", "higher", positive=False)
VARIANCE = Quantity("grad/encoder/variance", "variance", "lower", positive=True)


def group(name, values, metric="test/elbo"):
    runs = [RecordedRun(f"{name}{n}", name, {}, {}, {metric: value}) for n, value in enumerate(values)]
    return Group("s", name, {}, runs, {})


def test_the_best_is_marked_only_where_the_difference_exceeds_the_noise():
    clear = [group("A", [-20.0, -20.1, -19.9]), group("B", [-22.0, -22.1, -21.9])]
    assert best(clear, ELBO) is clear[0]
    near = [group("A", [-20.0, -21.0, -19.0]), group("B", [-20.2, -21.2, -19.2])]
    assert best(near, ELBO) is None


def test_the_smallest_variance_is_the_best_one_in_logarithms():
    metric = "grad/encoder/variance"
    groups = [group("A", [1.0, 1.2, 0.9], metric), group("B", [100.0, 30.0, 250.0], metric)]
    logarithms = [[math.log(variance) for variance in g.value(VARIANCE).values] for g in groups]
    # On the values themselves the spread of the large one hides the difference.
    assert ttest_ind(groups[0].value(VARIANCE).values, groups[1].value(VARIANCE).values, equal_var=False).pvalue > 0.05
    assert ttest_ind(*logarithms, equal_var=False).pvalue < 0.05
    assert best(groups, VARIANCE) is groups[0]


@pytest.mark.parametrize("other", [[-20.2, -20.3, -20.12, -20.24], [-19.0, -25.0], [3.0, 3.1, 3.2]], ids=str)
def test_the_probability_is_that_ofwelchs_test(other):
    one = [-20.0, -20.1, -19.9, -20.05]
    assert welch(one, other, positive=False) == pytest.approx(ttest_ind(one, other, equal_var=False).pvalue, rel=1e-9)


def test_many_rows_ask_for_more():
    # Between the levels of one comparison and of ten.
    one, other = [-20.0, -20.1, -19.9, -20.05], [-20.2, -20.3, -20.12, -20.24]
    p = ttest_ind(one, other, equal_var=False).pvalue
    assert 0.005 < p < 0.05
    assert best([group("A", one), group("B", other)], ELBO) is not None
    assert best([group("A", one), *[group(f"B{n}", other) for n in range(10)]], ELBO) is None


def test_a_single_run_is_no_evidence():
    assert best([group("A", [-20.0]), group("B", [-30.0, -30.1])], ELBO) is None
    assert best([group("A", [-20.0, -20.1])], ELBO) is None


def test_a_row_of_a_single_run_leaves_the_marks_of_the_others():
    clear = [group("A", [-20.0, -20.1, -19.9]), group("B", [-22.0, -22.1, -21.9])]
    assert best([*clear, group("C", [-21.0])], ELBO) is clear[0]


def test_a_row_with_a_diverged_run_is_tested_and_never_the_best():
    fine, diverged = group("A", [-20.0, -20.1, -19.9]), group("B", [-22.0, -22.1, math.nan])
    assert best([fine, diverged], ELBO) is fine
    leading = group("C", [-10.0, -10.1, math.inf])
    assert best([fine, leading], ELBO) is None
    assert best([fine, group("D", [math.nan])], ELBO) is None


def test_a_variance_of_zero_has_no_logarithm_and_ends_no_comparison():
    metric = "grad/encoder/variance"
    assert best([group("A", [0.0, 0.0, 1.0], metric), group("B", [3.0, 4.0, 5.0], metric)], VARIANCE) is None


def test_without_any_spread_what_differs_differs():
    assert best([group("A", [-20.0, -20.0]), group("B", [-21.0, -21.0])], ELBO).estimator == "A"
    assert best([group("A", [-20.0, -20.0]), group("B", [-20.0, -20.0])], ELBO) is None


def test_holms_correction_keeps_the_order_and_exceeds_no_one():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
