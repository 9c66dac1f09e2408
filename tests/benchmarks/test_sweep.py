"""Made-up runs of a sweep are read as those that a sweep has trained, and a sweep is timed to its result."""

import subprocess
import sys

from benchmarks.sweep import command_seconds, sweep_seconds, table_seconds

from reparam_suite import sweep


def test_made_up_runs_make_a_table(tmp_path):
    assert table_seconds(tmp_path, 60) > 0.0


def test_a_sweep_is_timed_to_its_result(tmp_path):
    assert sweep_seconds(tmp_path, 2, 2, workers=1) > 0.0


def test_its_command_trains_the_same_runs(tmp_path, monkeypatch, capsys):
    def here(command, **_):
        assert command[:3] == [sys.executable, "-m", "reparam_suite.sweep"]
        assert sweep.main(command[3:]) == 0

    monkeypatch.setattr(subprocess, "run", here)
    assert command_seconds(tmp_path, 2, 2, workers=1) > 0.0
    assert "2 of 2 runs" in capsys.readouterr().out
