"""Tables of papers from the frame of a sweep."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from reparam_suite.sweeps.result import SweepResult

# The rate that is best in validation is not the one that is best in the test.
VALID = {
    ("A_1", 0.1): [1.0, 2.0, 3.0],
    ("A_1", 0.2): [2.0, 3.0, 4.0],
    ("B", 0.1): [5.0, 5.0, 5.0],
    ("B", 0.2): [0.0, 0.0, 9.0],
}
TEST = {
    ("A_1", 0.1): [9.0, 9.0, 9.0],
    ("A_1", 0.2): [-1.0, 0.0, 1.0],
    ("B", 0.1): [2.0, 4.0, 6.0],
    ("B", 0.2): [7.0, 7.0, 7.0],
}


def result(failed=()):
    rows = []
    for (estimator, rate), values in VALID.items():
        for seed, valid in enumerate(values):
            bad = (estimator, rate, seed) in failed
            rows.append(
                {
                    "estimator": estimator,
                    "rate": rate,
                    "seed": seed,
                    "run_id": f"{estimator}{rate}{seed}",
                    "status": "FAILED" if bad else "FINISHED",
                    "reason": "it broke" if bad else None,
                    "val/elbo_best": math.nan if bad else valid,
                    "test/elbo": math.nan if bad else TEST[estimator, rate][seed],
                    "grad/encoder/variance": math.nan if bad else 10.0 * (1 + seed) * rate,
                }
            )
    return SweepResult(frame=pd.DataFrame(rows), trained=0, _arguments=("estimator", "rate"))


def chosen(**changes):
    given = {
        "rows": "estimator",
        "select": "val/elbo_best",
        "over": "rate",
        "columns": ["test/elbo", "grad/encoder/variance"],
    }
    return result(changes.pop("failed", ())).table(**given | changes)


def test_values_are_chosen_on_one_metric_and_reported_of_another():
    frame = chosen().frame
    assert list(frame["estimator"]) == ["A_1", "B"]
    assert list(frame["rate"]) == [0.2, 0.1]
    assert list(frame["test/elbo"]) == [0.0, 4.0]
    assert list(frame["test/elbo std"]) == [1.0, 2.0]
    assert list(frame["n"]) == [3, 3]


def test_a_sign_chooses_the_smallest():
    assert list(chosen(select="-val/elbo_best").frame["rate"]) == [0.1, 0.2]


def test_the_standard_error_is_the_deviation_over_the_root_of_n():
    frame = chosen(spread="standard_error").frame
    assert list(frame["test/elbo standard_error"]) == pytest.approx([1 / 3**0.5, 2 / 3**0.5])


def test_failed_runs_are_in_no_mean_and_n_says_so():
    frame = chosen(failed={("B", 0.1, 0)}).frame
    assert frame["n"][1] == 2
    assert frame["test/elbo"][1] == 5.0


def test_without_a_choice_the_rows_are_all_arguments():
    frame = result().table(rows=["estimator", "rate"], columns="test/elbo").frame
    assert len(frame) == 4
    assert list(frame["test/elbo"]) == [9.0, 0.0, 4.0, 7.0]


def test_latex_has_the_rules_of_booktabs_and_the_best_in_bold():
    latex = chosen().to_latex().splitlines()
    assert latex[:3] == [
        r"\begin{tabular}{llrrr}",
        r"\toprule",
        r"estimator & rate & test/elbo & grad/encoder/variance & $n$ \\",
    ]
    assert latex[4] == r"A\_1 & 0.2 & $0.0 \pm 1.0$\dag & $4.0 \pm 2.0$\dag & 3 \\"
    assert latex[5] == r"B & 0.1 & $\mathbf{4.0 \pm 2.0}$ & $\mathbf{2.0 \pm 1.0}$ & 3 \\"
    assert latex[6:] == [r"\bottomrule", r"\end{tabular}"]


def test_a_dagger_marks_what_is_not_significantly_worse_than_the_best():
    samples = {"best": [5.0, 5.1, 4.9, 5.05], "near": [4.9, 5.0, 4.85, 4.95], "far": [3.0, 3.2, 2.9, 3.1], "one": [4.0]}
    rows = [
        {"a": name, "seed": seed, "status": "FINISHED", "m": value}
        for name, values in samples.items()
        for seed, value in enumerate(values)
    ]
    table = SweepResult(frame=pd.DataFrame(rows), trained=0, _arguments=("a",)).table(rows="a", columns="m")
    near, far = (ttest_ind(samples["best"], samples[name], equal_var=False).pvalue for name in ("near", "far"))
    assert far < near
    assert list(table.frame["m p"]) == pytest.approx([math.nan, near, 2 * far, math.nan], nan_ok=True)
    shown = [line.split("|")[2].strip() for line in table.to_markdown().splitlines()[2:]]
    assert shown[0].startswith("**")
    assert ["†" in text for text in shown] == [False, True, False, False]
    assert "† not" in str(table)


def test_variances_are_tested_in_logarithms():
    samples = {"a": [1.0, 1.2, 0.9], "b": [100.0, 30.0, 250.0]}
    rows = [
        {"a": name, "seed": seed, "status": "FINISHED", "grad/encoder/variance": value}
        for name, values in samples.items()
        for seed, value in enumerate(values)
    ]
    frame = (
        SweepResult(frame=pd.DataFrame(rows), trained=0, _arguments=("a",))
        .table(rows="a", columns="grad/encoder/variance")
        .frame
    )
    expected = ttest_ind(*(np.log(values) for values in samples.values()), equal_var=False).pvalue
    assert frame["grad/encoder/variance p"][1] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["t.tex", "t.md", "t.csv"])
def test_a_file_has_the_form_that_its_name_asks_for(tmp_path, name):
    table = chosen()
    table.write(tmp_path / name)
    first = (tmp_path / name).read_text().splitlines()[0]
    assert first == {"t.tex": r"\begin{tabular}{llrrr}", "t.md": table.to_markdown().splitlines()[0]}.get(
        name, ",".join(table.frame.columns)
    )
    with pytest.raises(ValueError, match=r"output: expected a file that ends in .tex, .md or .csv, got t.txt"):
        table.write("t.txt")


def test_an_option_that_goes_with_the_rows_need_not_be_one_of_them():
    """As the learning rate of each estimator, where combinations are given one by one."""
    given = result()
    given = SweepResult(
        frame=given.frame[(given.frame["estimator"] == "A_1") == (given.frame["rate"] == 0.1)],
        trained=0,
        _arguments=given._arguments,
    )
    assert list(given.table(rows="estimator", columns="test/elbo").frame["test/elbo"]) == [9.0, 7.0]


def test_markdown_and_csv(tmp_path):
    lines = chosen().to_markdown().splitlines()
    assert lines[0] == "| estimator | rate | test/elbo | grad/encoder/variance | n |"
    assert lines[3] == "| B | 0.1 | **4.0 ± 2.0** | **2.0 ± 1.0** | 3 |"
    chosen().to_csv(tmp_path / "table.csv")
    assert pd.read_csv(tmp_path / "table.csv").equals(chosen().frame)


def test_it_fits_eighty_columns_with_long_names():
    given = result()
    given.frame["estimator"] = given.frame["estimator"] + "(" + "num_samples=4, " * 12 + ")"
    told = str(given.table(rows=["estimator", "rate"], columns=["test/elbo", "grad/encoder/variance", "val/elbo_best"]))
    assert max(map(len, told.splitlines())) <= 80
    assert "test/elbo" in told


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([-24.123, -24.223, -24.323], "-24.22 ± 0.10"),
        ([1234.0, 1334.0, 1434.0], "1334 ± 100"),
        ([2e-7, 3e-7, 4e-7], "(3.0 ± 1.0)e-7"),
        ([1.0, 1.0, 1.0], "1"),
        ([math.nan, 1.0, 1.0], "-"),
        ([math.inf, 1.0, 1.0], "inf"),
    ],
)
def test_numbers_have_the_digits_that_their_spread_allows(values, shown):
    frame = pd.DataFrame({"a": [1] * 3, "seed": range(3), "status": ["FINISHED"] * 3, "m": values})
    told = SweepResult(frame=frame, trained=0, _arguments=("a",)).table(rows="a", columns="m").to_markdown()
    assert told.splitlines()[-1] == f"| 1 | {shown} | 3 |"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rows": "estimater"}, "rows: expected arguments of the grid (estimator, rate), got estimater"),
        ({"columns": ["test/elbow"]}, "columns: expected metrics of the runs (val/elbo_best, test/elbo, "),
        ({"select": None}, "select: expected a metric together with over="),
        (
            {"select": None, "over": None},
            "rows: expected every argument with several values in rows or over, got none for rate",
        ),
        ({"over": "estimator"}, "over: expected arguments that are not in rows, got estimator"),
        ({"spread": "range"}, "spread: expected std or standard_error, got range"),
        ({"columns": []}, "columns: expected at least one, got none"),
    ],
)
def test_names_that_there_are_not_are_refused(changes, told):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        chosen(**changes)
    assert told in str(error.value)
