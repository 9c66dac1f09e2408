"""The pages that explain: snippets run, numbers are the experiments', both languages say the same, the site builds."""

import doctest
import os
import re
import subprocess
import sys

import pytest

from experiments import fill_numbers

ROOT = fill_numbers.DOCS.parent
ENGLISH, SPANISH = fill_numbers.PAGES


def text(page):
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "cell"), [*zip(fill_numbers.TABLES, [("8", "4"), ("4", "24")], strict=True)], ids=["readme", "sweeps"]
)
def test_published_tables_are_as_they_were_measured(page, cell):
    assert fill_numbers.replication(*cell) in text(page)
    assert fill_numbers.with_replication(text(page)) == text(page), "python -m experiments.fill_numbers"


@pytest.mark.parametrize("page", fill_numbers.PAGES, ids=["english", "spanish"])
def test_snippets_run(page):
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 30


@pytest.mark.parametrize("page", fill_numbers.PAGES, ids=["english", "spanish"])
def test_numbers_are_those_of_the_experiments(page):
    assert fill_numbers.count(text(page)) > 30
    assert fill_numbers.filled(text(page)) == text(page), "python -m experiments.fill_numbers"


def test_a_stale_number_is_seen_and_a_missing_one_is_named():
    stale = '<span data-number="toy_gaussian pathwise/exact_variance .0f">5</span>'
    assert fill_numbers.filled(stale) == stale.replace("5<", "4<")
    with pytest.raises(KeyError, match=r"toy_gaussian\.json has no number pathwise/nothing"):
        fill_numbers.value("toy_gaussian", "pathwise/nothing")


def test_both_languages_have_the_same_snippets_numbers_and_figures():
    def skeleton(page):
        snippets = re.sub(r"  # .*", "", "".join(re.findall(r"```python\n(.*?)```", text(page), re.DOTALL)))
        numbers = re.findall(r'data-number="\w+ ([\w./]+)', text(page))
        figures = re.findall(r"experiments/(\w+\.png)", text(page))
        formulas = re.findall(r"\$\$(.*?)\$\$", text(page), re.DOTALL)
        return snippets, numbers, figures, [formula.replace("{y}", "{and}") for formula in formulas]

    assert skeleton(ENGLISH) == skeleton(SPANISH)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=800, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    page = (tmp_path / "site" / "why_the_trick.html").read_text(encoding="utf-8")
    assert page.count('<span role="img"') > 60
    assert 'fill="currentColor"' in page
    assert "black" not in "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert page.count('data-md-color-scheme="slate"') == 1, "dark mode"
    index = (tmp_path / "site" / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "choosing.html" in index
    assert "CoupledMeasureValued" in (tmp_path / "site" / "choosing.html").read_text(encoding="utf-8")
    assert "$" not in re.sub(r"<pre.*?</pre>|<[^>]*>", "", page, flags=re.DOTALL)
    assert "LocalExpectation" in (tmp_path / "site" / "api" / "estimators.html").read_text(encoding="utf-8")


def test_the_tests_that_pages_name_are_there():
    """A promise names the test that holds it."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = {page.name: re.findall(r"tests/[a-z0-9_/]+\.py", page.read_text("utf-8")) for page in pages}
    named = {(page, name) for page, names in found.items() for name in names}
    assert len(named) > 10
    assert [(page, name) for page, name in sorted(named) if not (ROOT / name).is_file()] == []
