from types import SimpleNamespace

import pytest

from reparam_suite.sweeps.points import check_metrics, is_point, values_of
from reparam_suite.tracking import RecordedRun


def test_values_are_the_last_ones_or_those_of_a_step():
    curves = {"train/elbo": {"r": [(1, -9.0), (6, -5.0)]}}
    store = SimpleNamespace(histories=lambda ids, metric: curves[metric])
    runs = [RecordedRun("r", "", {}, {}, {"test/elbo": -4.0}), RecordedRun("s", "", {}, {}, {})]
    names = ["test/elbo", "train/elbo@6", "train/elbo@7"]
    assert values_of(store, runs, names) == {"r": {"test/elbo": -4.0, "train/elbo@6": -5.0}, "s": {}}


def test_what_is_no_point_is_refused():
    assert is_point("train/elbo@6000")
    assert not is_point("train/elbo")
    check_metrics("columns", ["train/elbo", "train/elbo@6000"])
    with pytest.raises(ValueError, match="columns: expected METRIC or METRIC@STEP, got train/elbo@last"):
        check_metrics("columns", ["train/elbo@last"])
    with pytest.raises(ValueError, match="metrics: expected each once, got a twice"):
        check_metrics("metrics", ["a", "b", "a"])
