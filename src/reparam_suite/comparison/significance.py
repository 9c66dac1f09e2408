"""The best row of a column, where it is better than the others by more than the noise."""

import math
from collections.abc import Sequence

from reparam_suite.comparison.groups import Group
from reparam_suite.comparison.quantities import Quantity, Value

SIGNIFICANCE = 0.05
TEST = (
    "Welch's t-test of the best against each other row of several runs, two-sided, Holm's correction, level 5 %; "
    "rows of a single run are not tested"
)


def best(groups: Sequence[Group], quantity: Quantity) -> Group | None:
    """The group that is better than every other of its setting by more than the noise; see TEST.

    None where that cannot be said: fewer than two groups of several runs, a difference within the noise, or a run of
    the leading group that has diverged.
    """
    values = [(group, group.value(quantity)) for group in groups]
    tested = [(group, value) for group, value in values if value is not None and len(value.values) > 1]
    if len(tested) < 2:
        return None
    sign = 1.0 if quantity.better == "higher" else -1.0
    first, *others = sorted(tested, key=lambda pair: -sign * pair[1].mean)
    p_values = [welch(first[1].values, other.values, positive=quantity.positive) for _, other in others]
    return first[0] if max(holm(p_values)) < SIGNIFICANCE and not first[1].diverged else None


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values with Holm's correction for their number, in their order."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[position] * (len(p_values) - rank)))
        corrected[position] = largest
    return corrected


def welch(one: Sequence[float], other: Sequence[float], *, positive: bool) -> float:
    """The two-sided p-value of Welch's test; 1 where a value has no logarithm.

    Args:
        one: at least two finite values.
        other: likewise.
        positive: whether they spread by factors: then their logarithms are compared.
    """
    from scipy.special import stdtr  # scipy's own test warns where a spread is small

    left, right = (list(map(_logarithm, values)) if positive else values for values in (one, other))
    if not all(map(math.isfinite, [*left, *right])):
        return 1.0
    samples = [Value.of(left), Value.of(right)]
    difference = samples[0].mean - samples[1].mean
    squared = sum(sample.standard_error**2 for sample in samples)
    if squared == 0.0:  # no spread at all: the statistic would divide by zero
        return 0.0 if difference else 1.0
    freedom = 1.0 / sum(
        (of_group.standard_error**2 / squared) ** 2 / (len(of_group.values) - 1) for of_group in samples
    )
    return float(2.0 * stdtr(freedom, -abs(difference) / math.sqrt(squared)))


def _logarithm(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
