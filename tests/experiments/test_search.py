"""The best of several trials, as the comparison of searches counts it."""

from itertools import combinations

import pytest
from experiments.search_on_digits import best_of


@pytest.mark.parametrize("num_trials", [1, 2, 4, 5])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_quantiles_of_the_best_are_those_of_all_subsets(num_trials, probability):
    searches = [[-3.0, -1.5, -2.0], [-9.0, -1.0]]
    values = [value for search in searches for value in search]
    bests = sorted(max(subset) for subset in combinations(values, num_trials))
    quantile = next(v for v in bests if sum(best <= v for best in bests) >= probability * len(bests))
    assert best_of(searches, num_trials, probability) == quantile
