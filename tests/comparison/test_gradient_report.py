"""The report of a comparison of gradients: its order, its cells, its notes, and the same numbers as CSV and JSON."""

import csv
import io
import math

import pytest
from rich.console import Console
from tests.comparison.rows import COST, bias, comparison, row, statistics
from tests.comparison.small import written

from reparam_suite.comparison.gradient_report import GradientReport


def shown(report: GradientReport) -> list[str]:
    console = Console(file=io.StringIO(), width=200)
    report.show(console)
    return console.file.getvalue().splitlines()


def cells(lines: list[str], name: str) -> list[list[str]]:
    """Of the rows of an estimator, one for each table."""
    found = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in lines if line.startswith("│")]
    return [own[1:] for own in found if own[0] == name]


def test_rows_come_by_variance_times_milliseconds_of_the_part_asked_for():
    slow, fast = row("slow", 3.0, ms=10.0), row("fast", 8.0, ms=1.0)
    report = GradientReport(comparison(slow, fast), "encoder", {})
    assert [record["estimator"] for record in report.records()] == ["fast", "slow"]
    assert [record["encoder/work_normalized_variance"] for record in report.records()] == [8.0, 30.0]
    titles = [
        line.strip() for line in shown(GradientReport(comparison(slow, fast), "decoder", {})) if "Gradient" in line
    ]
    assert titles == ["Gradient with respect to decoder", "Gradient with respect to encoder"]


@pytest.mark.parametrize(
    ("variance", "error", "cell"),
    [
        (12.345, 0.67, "12.3 ± 0.7"),
        (1234567.0, 8910.0, "1,235,000 ± 9,000"),
        (0.00123456, 0.000012, "0.00123 ± 1e-05"),
        (2.5, 0.0, "2.5 ± 0"),
        (7.0, 1.9, "7 ± 2"),
        (math.nan, 1.0, "-"),
        (3.14159, math.nan, "3.14"),
    ],
)
def test_a_number_is_shown_down_to_the_first_digit_of_its_error(variance, error, cell):
    one = row("A", 1.0, statistics={"encoder": statistics(variance, error), "decoder": statistics(1.0, 0.1)})
    (first, _) = cells(shown(GradientReport(comparison(one), "encoder", {})), "A")
    assert first[1] == cell


def test_a_bias_is_a_number_where_it_is_seen_and_else_a_bound():
    """Of a reference of length 2; what an unbiased estimator seems to have is noise."""
    given = {"encoder": bias(0.16, 0.01), "decoder": bias(0.01, 0.075)}
    seen, hidden = cells(
        shown(GradientReport(comparison(row("A", 1.0, unbiased=False, bias=given)), "encoder", {})), "A†"
    )
    assert (seen[3], hidden[3]) == ("0.2", "< 0.2")
    assert seen[4] == "0.988 ± 0.004"
    assert seen[5:] == ["4", "2.00", "3.0"], "evaluations, ms, MiB stand beside the part that orders"
    (unbiased, _) = cells(shown(GradientReport(comparison(row("A", 1.0, bias=given)), "encoder", {})), "A")
    assert unbiased[3] == "< 0.21"  # sqrt((0.16 + 0.02) / 4)


def test_notes_say_what_marks_mean_and_what_is_not_there():
    own, fresh = row("Own()", 1.0, bias={"encoder": bias(0.0, 0.1, 0.02)}), row("New()", 2.0, unbiased=False)
    report = GradientReport(
        comparison(
            own,
            fresh,
            own="Own()",
            learned_parts={"Own()": "trained", "New()": "initial"},
            reference="Own()",
            num_estimators=3,
            left_out={"Bad()": "Bad: no"},
        ),
        "encoder",
        {"Worse()": "Worse: no"},
    )
    lines = shown(report)
    assert cells(lines, "Own() (of the checkpoint)")
    assert cells(lines, "New()*†")
    assert "1 of 3 estimators were not measured" in lines
    assert "* what it learns or remembers is as it starts, untrained" in lines
    assert "† biased: a small variance may be that of another gradient" in lines
    assert "bias and cosine against Own(), off by 1 % (encoder) of its length" in lines  # 0.02 of 2
    assert [line for line in lines if line.startswith("left out")] == [
        "left out   Worse(): Worse: no",
        "left out   Bad(): Bad: no",
    ]


def test_training_on_the_frozen_model_has_columns_only_where_there_was_some():
    trained, plain = row("REBAR()", 1.0), row("DisARM()", 2.0)
    before = row("REBAR()", 6.0)
    report = GradientReport(
        comparison(trained, plain, training={"REBAR()": COST}, untrained={"REBAR()": before}), "encoder", {}
    )
    first, second = report.records()
    assert (first["training_steps"], first["training_evaluations"], first["training_milliseconds"]) == (
        300,
        1200,
        4567.8,
    )
    assert (first["encoder/untrained_variance"], first["decoder/untrained_variance"]) == (6.0, 3.0)
    assert (second["training_steps"], second["training_milliseconds"]) == (0, 0.0)
    assert math.isnan(second["encoder/untrained_variance"])
    lines = shown(report)
    assert cells(lines, "REBAR()")[0][2] == "6.0 ± 0.2"
    assert cells(lines, "DisARM()")[0][2] == "-"
    assert any(
        line.startswith("trained    REBAR(): 300 steps on the frozen model, 1,200 evaluations per datum, 4,568 ms")
        for line in lines
    )
    assert "training_steps" not in GradientReport(comparison(plain), "encoder", {}).records()[0]


def test_csv_and_json_have_the_records_and_json_no_number_that_is_none():
    one = row("A", 1.0, statistics={"encoder": statistics(math.nan, 1.0), "decoder": statistics(0.25, 0.5)})
    report = GradientReport(comparison(one, row("B", 2.0), left_out={"C": "C: no"}), "decoder", {})
    lines = list(csv.DictReader(io.StringIO(report.csv())))
    assert [line["estimator"] for line in lines] == ["A", "B"]
    assert [float(line["decoder/variance"]) for line in lines] == [0.25, 1.0]
    told = report.json()
    assert told["rows"][0]["encoder/variance"] is None
    assert told["rows"][1]["encoder/variance"] == 2.0
    assert (told["order_by"], told["num_estimators"]) == ("decoder", 2)
    assert told["left_out"] == {"C": "C: no"}


def test_the_table_is_in_the_order_of_work_normalised_variance(compared):
    rows = written(compared)["rows"]
    products = [one["encoder/variance"] * one["milliseconds"] for one in rows]
    assert products == sorted(products)
    assert products == pytest.approx([one["encoder/work_normalized_variance"] for one in rows])
    encoder = compared.out[
        compared.out.index("Gradient with respect to encoder") : compared.out.index("Gradient with respect to decoder")
    ]
    places = [encoder.index(one["estimator"]) for one in rows]
    assert places == sorted(places)
    assert f"{rows[0]['encoder/work_normalized_variance']:.3g}" in encoder


def test_the_csv_holds_the_numbers_of_the_json(compared):
    with (compared.artifacts() / "gradients.csv").open() as file:
        lines = list(csv.DictReader(file))
    rows = written(compared)["rows"]
    assert [line["estimator"] for line in lines] == [one["estimator"] for one in rows]
    for line, numbers in zip(lines, rows, strict=True):
        assert float(line["encoder/variance"]) == numbers["encoder/variance"]
        assert int(line["evaluations"]) == numbers["evaluations"]
        assert line["unbiased"] == str(numbers["unbiased"])
