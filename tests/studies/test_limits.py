"""Constraints of a study: how far a value is beyond each end."""

import math

import pytest

from reparam_suite.studies.limits import Limit


def test_violations_are_zero_or_less_within():
    assert Limit(at_most=3.0).violations(5.0) == {"at_most": 2.0}
    assert Limit(at_least=1.0, at_most=3.0).violations(1.5) == {"at_most": -1.5, "at_least": -0.5}
    assert Limit(at_least=1.0).violations(1.0) == {"at_least": 0.0}


@pytest.mark.parametrize("ends", [{}, {"at_most": math.nan}, {"at_least": math.inf}, {"at_least": 2.0, "at_most": 1.0}])
def test_ends_that_no_value_satisfies_are_refused(ends):
    with pytest.raises(ValueError, match="constraints: expected at_most, at_least or both, finite and in order"):
        Limit(**ends)
