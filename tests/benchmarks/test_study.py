"""The time between the trainings of a real worker, and its table."""

import time

import pytest
from benchmarks.study import Gaps, _told, overhead
from tests.launching import as_it_was


@pytest.mark.slow
def test_between_three_trainings_there_are_two_gaps(tmp_path):
    with as_it_was():
        gaps = overhead(tmp_path, 3, time.perf_counter)
    assert len(gaps) == 2
    assert min(gaps) > 0.0


def test_a_gap_lasts_from_an_end_to_the_next_beginning():
    assert Gaps(time.perf_counter, began=[0.0, 5.0, 9.0], ended=[4.5, 8.0, 20.0]).seconds() == [0.5, 1.0]


def test_a_missed_target_is_marked():
    assert _told({"wall": [0.1, 0.5, 0.4], "cpu": [0.1, 0.2, 0.3]}) == [
        ["wall", "0.400", "0.100 to 0.500", "below 0.3*"],
        ["cpu", "0.200", "0.100 to 0.300", "below 0.3"],
    ]
