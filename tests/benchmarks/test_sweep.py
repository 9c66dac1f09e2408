"""Made-up runs of a sweep are read as those that a sweep has trained, and a sweep is timed to its result."""

from benchmarks.sweep import sweep_seconds, table_seconds


def test_made_up_runs_make_a_table(tmp_path):
    assert table_seconds(tmp_path, 60) > 0.0


def test_a_sweep_is_timed_to_its_result(tmp_path):
    assert sweep_seconds(tmp_path, 2, 2, workers=1) > 0.0
