"""The table of the default run, and the times that are read from the lines that a command prints."""

import itertools
import subprocess
import sys

import pytest
from benchmarks.default_run import BARE, COMPILED, DEFAULT, Cost, listing, main, run, targets

from benchmarks import default_run

COSTS = {BARE: [Cost(10.0), Cost(12.0)], DEFAULT: [Cost(18.0, 4.0, 0.7), Cost(15.0, 5.0, 0.2)], COMPILED: [Cost(9.0)]}
PROGRAM = "print('step 3 of 1,000', 'step 1,000 of 1,000', 'Results', 'last line', sep='\\n')"


def test_ratios_are_of_the_fastest_rounds():
    assert listing(COSTS).rows[:2] == [[BARE, "10.00", "1.00", "", ""], [DEFAULT, "15.00", "1.50", "4.00", "0.20"]]
    assert [(target.measured, target.met) for target in targets(COSTS)] == [(1.5, True), (4.0, False), (0.2, True)]


def test_times_are_from_the_last_step_and_from_the_last_line(monkeypatch, tmp_path):
    """By a clock that goes on by one whenever it is read: at the start, at each line and at the end."""
    popen = subprocess.Popen

    def cost(program):
        monkeypatch.setattr(
            default_run.subprocess, "Popen", lambda _, **given: popen([sys.executable, "-c", program], **given)
        )
        monkeypatch.setattr(default_run.time, "perf_counter", itertools.count().__next__)
        return run([], 1000, tmp_path)

    found = cost(PROGRAM)
    assert (found.after, found.at_exit) == (2, 1)
    assert found.cpu > 0.0
    with pytest.raises(RuntimeError, match="exit code 3"):
        cost("exit(3)")


def test_it_prints_a_table_and_writes_numbers(tmp_path, monkeypatch, capsys):
    """With runs that take given times."""
    monkeypatch.setattr(default_run, "run", lambda *_: Cost(4.0, 2.0, 0.1))
    main(["--rounds=1", "--steps=100", f"--output={tmp_path / 'run.json'}"])
    assert '"at_exit": 0.1' in (tmp_path / "run.json").read_text()
    assert "over the bare steps" in capsys.readouterr().out
