"""Tables of papers from the frame of a sweep."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import ttest_ind
from tests.sweeps.made_up import chosen, result

from reparam_suite.sweeps.result import SweepResult


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


def test_headings_are_those_that_are_given(tmp_path):
    table = replace(chosen(), titles={"rate": "learning_rate", "grad/encoder/variance": r"$\sigma^2$"})
    assert table.to_latex().splitlines()[2] == r"estimator & learning\_rate & test/elbo & $\sigma^2$ & $n$ \\"
    assert table.to_markdown().splitlines()[0] == r"| estimator | learning_rate | test/elbo | $\sigma^2$ | n |"
    assert "learning_rate" in str(table)
    message = (
        r"titles: expected names of rows or columns \(estimator, rate, test/elbo, grad/encoder/variance\), got elbo"
    )
    with pytest.raises(ValueError, match=message):
        replace(chosen(), titles={"elbo": "ELBO"})


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


def test_markdown_and_csv(tmp_path):
    lines = chosen().to_markdown().splitlines()
    assert lines[0] == "| estimator | rate | test/elbo | grad/encoder/variance | n |"
    assert lines[3] == "| B | 0.1 | **4.0 ± 2.0** | **2.0 ± 1.0** | 3 |"
    chosen().to_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "table.csv"), chosen().frame, rtol=1e-14, atol=0.0
    )  # pandas rounds


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


def single(label, value):
    """The table of one run."""
    frame = pd.DataFrame([{"a": label, "seed": 0, "status": "FINISHED", "test/elbo": value}])
    return SweepResult(frame=frame, trained=0, _arguments=("a",)).table(rows="a", columns="test/elbo")


@pytest.mark.parametrize(
    ("label", "value", "row"),
    [
        ("x^2\\y\nz", 1.0, r"x\textasciicircum{}2\textbackslash{}y z & $1$ & 1 \\"),
        ("a", 1_234_567.0, r"a & $1.235 \times 10^{6}$ & 1 \\"),
        ("a", 1.2345e-5, r"a & $1.234 \times 10^{-5}$ & 1 \\"),
    ],
)
def test_labels_and_powers_are_those_of_latex(label, value, row):
    assert single(label, value).to_latex().splitlines()[4] == row


def test_an_option_that_a_combination_lacks_is_an_empty_field():
    assert single(math.nan, 1.0).to_markdown().splitlines()[2] == "|  | 1 | 1 |"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere/table.md", "output: expected a file in a directory that exists"),
        ("taken.md", "output: .* can be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(tmp_path, name, told):
    (tmp_path / "taken.md").mkdir()
    with pytest.raises(ValueError, match=told):
        chosen().write(tmp_path / name)
