"""The types of a run's arguments: one message before anything is made."""

import pytest
from tests.running.models import gaussian

from reparam_suite import Run
from reparam_suite.data import Digits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record": None}, "record: expected RecordSettings, got None"),
        ({"checkpoint": {"every": 3}}, "checkpoint: expected CheckpointSettings, got {'every': 3}"),
        ({"tracking": "mlruns"}, "tracking: expected TrackingSettings, got 'mlruns'"),
        ({"tags": None}, "tags: expected a mapping, got None"),
        ({"tags": {"a": 1}}, "tags: expected a string for 'a', got 1"),
        ({"tags": {0: "a"}}, "tags: expected names that are strings, got 0"),
        ({"trainer": None}, "trainer: expected a mapping, got None"),
        ({"monitor": 7}, "monitor: expected the name of a metric, got 7"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(options, message):
    with pytest.raises(TypeError) as refused:
        Run(gaussian, Digits, **options)
    assert str(refused.value) == message
