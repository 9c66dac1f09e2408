"""The table of the times of whole processes, and one real process."""

import pytest
from benchmarks.startup import IMPORT, Cost, listing, main, run

from benchmarks import startup


def test_ratios_are_over_the_import_of_the_same_round():
    (_, help_row, _) = listing(
        {
            IMPORT: [Cost(4.0, 4.0), Cost(9.0, 8.0)],
            "--help": [Cost(5.0, 5.0), Cost(9.0, 9.0)],
            "a run of one step": [Cost(9.0, 10.0), Cost(20.0, 18.0)],
        }
    ).rows
    assert help_row == ["--help", "7.00", "7.00", "1.19", "1.12 to 1.25", "at most 1.25"]


def test_a_missed_target_is_marked():
    *_, row = listing({IMPORT: [Cost(4.0, 4.0)], "a run of one step": [Cost(9.0, 10.0)]}).rows
    assert row[-1] == "at most 2*"


def test_the_processor_time_is_that_of_the_process(tmp_path):
    cost = run(["-c", "import time; time.sleep(0.5)"], tmp_path)
    assert cost.wall - cost.cpu > 0.2
    with pytest.raises(RuntimeError, match="exit code 3"):
        run(["-c", "raise SystemExit(3)"], tmp_path)


def test_it_prints_a_table_and_writes_numbers(tmp_path, monkeypatch, capsys):
    """With processes that take given times."""
    asked = []
    monkeypatch.setattr(startup, "run", lambda arguments, _: asked.append(arguments) or Cost(4.0, 4.0))
    main(["--rounds=1", f"--output={tmp_path / 'startup.json'}"])
    assert len(asked) == 1 + 4, "the first run, which makes the database, is not counted"
    assert '"wall": 4.0' in (tmp_path / "startup.json").read_text()
    assert "at most 1.25" in capsys.readouterr().out
