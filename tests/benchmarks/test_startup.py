"""The table of the times of whole processes, and one real process."""

import pytest
from benchmarks.startup import LIGHTNING, TORCH, WHOLE, Cost, listing, main, run, targets

from benchmarks import startup

COSTS = {
    TORCH: [Cost(2.0, 2.0), Cost(3.0, 3.0)],
    LIGHTNING: [Cost(4.0, 4.0), Cost(9.0, 8.0)],
    "--help": [Cost(5.0, 3.0), Cost(9.0, 9.0)],
    WHOLE: [Cost(9.0, 10.0), Cost(20.0, 18.0)],
}


def test_ratios_are_of_the_fastest_rounds_and_a_missed_target_is_marked():
    *_, help_row, whole = listing(COSTS).rows
    assert help_row == ["--help", "5.00", "3.00", "1.50", "0.75", "at most 1.5"]
    assert whole == ["a run of one step", "9.00", "10.00", "5.00", "2.50", "at most 2*"]


def test_targets_name_the_import_that_they_are_over():
    found = [(target.name, target.measured, target.met) for target in targets(COSTS)]
    assert found == [("--help / import torch", 1.5, True), ("a run of one step / import lightning.pytorch", 2.5, False)]


def test_the_processor_time_is_that_of_the_process(tmp_path):
    cost = run(["-c", "import time; time.sleep(0.5)"], tmp_path)
    assert cost.wall - cost.cpu > 0.2
    with pytest.raises(RuntimeError, match="exit code 3"):
        run(["-c", "raise SystemExit(3)"], tmp_path)


def test_it_prints_a_table_and_writes_numbers(tmp_path, monkeypatch, capsys):
    """With processes that take given times."""
    asked = []
    monkeypatch.setattr(startup, "run", lambda arguments, *_: asked.append(arguments) or Cost(4.0, 4.0))
    main(["--rounds=1", f"--output={tmp_path / 'startup.json'}"])
    assert len(asked) == 1 + len(startup.COMMANDS), "the first run, which makes the database, is not counted"
    assert '"wall": 4.0' in (tmp_path / "startup.json").read_text()
    assert "at most 1.3" in capsys.readouterr().out
