"""Shared by the benchmarks: rounds in turn, ratios, options, and the files of findings."""

import json
import platform
from importlib.metadata import version

import pytest
from benchmarks.__main__ import missed
from benchmarks.measuring import Findings, Listing, Ratio, Target, at_least, in_turn, parser, positive


def test_sides_run_in_turn_and_in_both_orders():
    ran = []
    found = in_turn({name: lambda name=name: ran.append(name) or float(len(ran)) for name in "xyz"}, rounds=3)
    assert "".join(ran) == "xyzzyxxyz"
    assert found == {"x": [1.0, 6.0, 7.0], "y": [2.0, 5.0, 8.0], "z": [3.0, 4.0, 9.0]}


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    """Not the ratio of the medians: a slow round is slow on both sides."""
    assert Ratio.of([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == Ratio(median=3.0, low=2.0, high=4.0, of_fastest=2.0)


def test_a_table_in_markdown_has_its_figures_to_the_right():
    listing = Listing("Costs", ("who", "what", "ms"), [["a", "b", "1.0"]], num_names=2)
    assert listing.markdown() == ["| who | what | ms |", "| --- | --- | ---: |", "| a | b | 1.0 |"]


def test_findings_are_printed_and_written_as_json_and_markdown(tmp_path, capsys):
    output, table = tmp_path / "new" / "a.json", tmp_path / "tables" / "a.md"
    options = parser("a", "").parse_args([f"--table={table}", f"--output={output}", "--device=cpu"])
    listing = Listing("Costs", ("who", "ms"), [["ours", "1.25"]])
    notes = ["pyro is absent: [no] module."]
    targets = [Target("ours / bare", 1.25, 1.1), Target("peer / ours", 1.25, 1.1, at_least=True)]
    Findings("3 rounds", [listing], {"ms": 1.25}, notes, ("torch", "no-such"), targets).report(options)
    printed, written = capsys.readouterr().out, json.loads(output.read_text())
    assert "1.25" in printed
    assert notes[0] in printed
    assert written["ms"] == 1.25
    assert written["targets"] == [
        {"name": "ours / bare", "measured": 1.25, "target": 1.1, "met": False},
        {"name": "peer / ours", "measured": 1.25, "target": 1.1, "met": True},
    ]
    assert missed(output) == ["missed: ours / bare is 1.25, the target 1.1\n"]
    assert written["versions"] == {"torch": version("torch")}
    first, *rest = table.read_text().splitlines()
    assert first.startswith(f"{written['date']}; {platform.machine()}")
    assert first.endswith(f"cpu; load {written['load']:g}; 3 rounds; torch {version('torch')}.")
    assert rest == ["", *notes, "", "Costs:", "", *listing.markdown()]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--rounds=0", "argument --rounds: expected an integer of at least 1, got 0"),
        ("--rounds=1.5", "argument --rounds: expected an integer of at least 1, got 1.5"),
        ("--seconds=nan", "argument --seconds: expected a number above 0, got nan"),
        ("--seconds=many", "argument --seconds: expected a number above 0, got many"),
        ("--device=tpu", "argument --device: expected cpu"),
        ("--output=.", "argument --output: expected a file that can be written, got ."),
        ("--table=.", "argument --table: expected a file that can be written, got ."),
        ("--round=3", "unrecognized arguments: --round=3"),
    ],
)
def test_a_bad_option_ends_with_exit_code_2_and_one_message(given, message, capsys):
    made = parser("a", "")
    made.add_argument("--rounds", type=at_least(1))
    made.add_argument("--seconds", type=positive)
    with pytest.raises(SystemExit) as ended:
        made.parse_args([given])
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.err.splitlines()[-1].startswith(f"python -m benchmarks.a: error: {message}")
    assert not told.out
