"""Made-up runs of a sweep are read as those that a sweep has trained."""

from benchmarks.sweep import table_seconds


def test_made_up_runs_make_a_table(tmp_path):
    assert table_seconds(tmp_path, 60) > 0.0
