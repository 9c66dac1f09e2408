"""Settings of what is recorded: refusals by the option's name."""

import pytest

from reparam_suite.training import RecordSettings


@pytest.mark.parametrize("name", ["every", "gradients_every", "test_samples"])
def test_intervals_and_samples_are_at_least_one(name):
    with pytest.raises(ValueError, match=rf"record\.{name}: expected at least 1, got 0"):
        RecordSettings(**{name: 0})


@pytest.mark.parametrize("test_data", [1, -3])
def test_one_datum_has_no_standard_error(test_data):
    with pytest.raises(ValueError, match=r"record\.test_data: expected 0, or at least 2 for a standard error, got"):
        RecordSettings(test_data=test_data)
    assert RecordSettings(test_data=0).test_data == 0
