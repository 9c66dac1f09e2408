"""The report of a comparison of runs: means, errors and marks of made-up runs, and where they are shown."""

import csv
import io
import math
import re
import statistics

import numpy as np
import pytest
from rich.console import Console

from reparam_suite.comparison.groups import grouped
from reparam_suite.comparison.run_report import CURVES, RunReport
from reparam_suite.tracking import RecordedRun

VALUES = {"Pathwise": [-20.0, -20.1, -19.9], "ScoreFunction": [-23.0, -23.6, -22.7]}


def run(estimator, seed, *, rate="0.001", digest="1a2b", dataset="Digits", **metrics) -> RecordedRun:
    tags = {"estimator": estimator, "model": "GaussianVAE", "dataset": dataset, "objective": "ELBO()"}
    parameters = {"seed": str(seed), "model.init_args.learning_rate": rate}
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    return RecordedRun(f"{estimator}{rate}{seed}", "name", tags, parameters, named, digest=digest)


def runs(values=VALUES, **more) -> list[RecordedRun]:
    return [run(name, seed, test__elbo=elbo, **more) for name, own in values.items() for seed, elbo in enumerate(own)]


def report(given: list[RecordedRun], histories=None) -> RunReport:
    return RunReport("Runs", grouped(given), {metric: (histories or {}).get(metric, {}) for metric in CURVES})


def rows(made: RunReport) -> dict[str, list[str]]:
    """The cells of the printed rows, by the first of them."""
    console = Console(file=io.StringIO(), width=200)
    made.show(console)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("│")]
    found = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in lines]
    return {cells[0]: cells[1:] for cells in found}


def test_numbers_are_means_and_standard_errors_over_runs_in_full_in_the_file():
    found = list(csv.DictReader(io.StringIO(report(runs()).csv())))
    assert [(line["estimator"], line["runs"], line["test/elbo best"]) for line in found] == [
        ("Pathwise", "3", "True"),
        ("ScoreFunction", "3", "False"),
    ]
    for line, own in zip(found, VALUES.values(), strict=True):
        assert float(line["test/elbo"]) == pytest.approx(statistics.fmean(own), rel=1e-15)
        assert float(line["test/elbo standard error"]) == pytest.approx(statistics.stdev(own) / 3**0.5, rel=1e-12)


def test_cells_have_two_digits_of_the_error_and_the_best_comes_first_with_its_mark():
    # Standard errors 0.1 / sqrt(3) and 0.4583 / sqrt(3).
    worst_first = dict(reversed(VALUES.items()))
    assert rows(report(runs(worst_first))) == {
        "Pathwise": ["3", "-20.000 ± 0.058 *"],
        "ScoreFunction": ["3", "-23.10 ± 0.26"],
    }
    assert list(rows(report(runs(worst_first)))) == ["Pathwise", "ScoreFunction"]


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        ([-20.0, math.nan], "-20 (1 of 2 runs; nan)"),
        ([-20.0, -21.0, -1.7976931348623157e308], "-20.50 ± 0.50 (2 of 3 runs; -inf)"),
        ([math.inf], "inf"),
        ([-2e200, -2e200], "-2e+200"),
        ([-20.0, -20.0], "-20 ± 0"),
        ([2e12, 4e12], "3e+12 ± 1e+12"),
        ([1e-7, 3e-7], "2e-07 ± 1e-07"),
    ],
)
def test_a_cell_says_which_runs_diverged(values, cell):
    assert rows(report(runs({"A": values})))["A"] == [str(len(values)), cell]


def test_other_options_are_other_rows_and_other_data_other_tables():
    given = [run("A", 0, rate="0.1", test__elbo=-1.0), run("A", 0, rate="0.2", test__elbo=-2.0)]
    assert list(rows(report(given))) == ["A (learning_rate=0.1)", "A (learning_rate=0.2)"]
    found = list(csv.DictReader(io.StringIO(report([*given, run("A", 0, dataset="MNIST", test__elbo=-9.0)]).csv())))
    assert [line["setting"].split(", ")[1] for line in found] == ["Digits", "Digits", "MNIST"]
    assert [line["options"] for line in found] == [
        "model.init_args.learning_rate=0.1",
        "model.init_args.learning_rate=0.2",
        "",
    ]


def test_notes_name_repeated_seeds_and_data_without_a_digest():
    once = run("A", 0, test__elbo=-1.0)
    again = RecordedRun("again", "name", once.tags, once.parameters, once.metrics, digest=once.digest)
    notes = list(report([once, again]).notes())
    assert notes[0].startswith("mean ± standard error over runs; * the best of its column: ")
    assert notes[1:] == ["A: seed 0 was run 2 times, the latest run counts"]
    assert list(report([run("A", 0, digest=None, test__elbo=-1.0)]).notes())[1:] == [
        "runs on data without a digest are not grouped: nothing says that their data are the same"
    ]


HISTORIES = {
    "val/elbo": {
        "Pathwise0.0010": [(0, -50.0), (10, -20.0)],
        "Pathwise0.0011": [(0, -54.0), (10, -22.0)],
        "Pathwise0.0012": [(0, -50.0), (10, math.nan)],
    }
}


def test_curves_are_of_the_runs_that_did_not_diverge_and_say_over_how_many():
    ((name, figure),) = report(runs(), HISTORIES).figures()
    assert name == "val_elbo"
    (line,) = figure.axes[0].lines
    assert line.get_label() == "Pathwise, 2 of 3 runs"
    np.testing.assert_array_equal(line.get_xydata(), [[0.0, -52.0], [10.0, -21.0]])


def test_variance_is_drawn_against_cost_where_both_are_known():
    costs = {"time__ms_per_step": 2.5, "grad__encoder__variance": 40.0}
    ((name, figure),) = report([*runs({"A": [-1.0]}, **costs), run("B", 0, test__elbo=-2.0)]).figures()
    assert name == "variance_against_cost"
    (mark,) = [bar.lines[0] for bar in figure.axes[0].containers]
    assert mark.get_xydata().tolist() == [[2.5, 40.0]]


def test_the_page_has_a_table_curves_costs_and_every_run():
    costs = {"time__ms_per_step": 2.5, "grad__encoder__variance": 40.0}
    page = report(runs(**costs), HISTORIES).page()
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == ["GaussianVAE, Digits, ELBO()", "Validation ELBO, nats", "Variance against cost", "Every run"]
    assert "<td>-20.000 ± 0.058 *</td>" in page
