"""The generated pages are what their generators make of the code as it is."""

import copy
import json
from typing import Any

import pytest
from benchmarks.catalogue import Latents, entries
from benchmarks.estimator_measurements import stale
from PIL import Image
from torch.distributions import Bernoulli

from benchmarks import choosing
from benchmarks import estimator_page as page
from reparam_suite import estimators
from reparam_suite.estimators import Average, Baseline, GradientEstimator


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return json.loads(page.MEASURED.read_text())


def test_the_table_of_estimators_is_current(measured: dict[str, Any]) -> None:
    assert page.render(measured) == page.PAGE.read_text(), f"{page.PAGE} is out of date; run: {page.RENDER}"


def test_an_estimator_without_a_measurement_is_named_with_the_command(measured: dict[str, Any]) -> None:
    without = copy.deepcopy(measured)
    del without["rows"]["bernoulli"]["DisARM"]
    with pytest.raises(page.StaleMeasurementsError, match=r"DisARM.*; run: python -m .* missing$"):
        page.render(without)


def test_a_measurement_at_other_defaults_is_stale(measured: dict[str, Any]) -> None:
    other = copy.deepcopy(measured)
    other["rows"]["normal"]["Pathwise"]["num_samples"] += 1
    assert "Pathwise" in stale(other)


def test_every_public_estimator_and_baseline_is_listed() -> None:
    public = {value for name in estimators.__all__ if isinstance(value := getattr(estimators, name), type)}
    described = {documented for entry in entries() for documented in entry.documented}
    kinds = (GradientEstimator, Baseline)
    assert described == {cls for cls in public if issubclass(cls, kinds)} - set(kinds)


def test_an_estimator_that_refuses_so_many_latents_is_measured_on_fewer() -> None:
    enumeration = next(entry for entry in entries() if entry.name == "Enumeration")
    assert Latents(Bernoulli, 20).largest_for(enumeration, Average) == Latents(Bernoulli, 9)


@pytest.mark.parametrize(
    ("docstring", "citation"),
    [
        ("What.\n\n    Unbiased.\n    Wu & Li (2020), arXiv 2006.10680, eq. 4; Roe et al. (2014). There it differs.\n",
         "Wu & Li (2020), arXiv 2006.10680, eq. 4; Roe et al. (2014)"),
        ("What.\n\n    Unbiased.\n    Wu et al. (2020), section 3,\n    and 4.\n\n    Args:\n        k: Li (2021).\n",
         "Wu et al. (2020), section 3, and 4"),
        ("What: Wu (2020).\n\n    Unbiased.\n", ""),
    ],
)  # fmt: skip
def test_the_citation_of_a_docstring(docstring: str, citation: str) -> None:
    assert page.source(docstring) == citation


def test_the_decision_chart_is_that_of_the_measurements() -> None:
    found = choosing.branches()
    table = choosing.table(found)
    assert table == choosing.PAGE.read_text(encoding="utf-8"), "run: python -m benchmarks.choosing"
    with Image.open(choosing.CHART) as chart:
        assert chart.text["Source"] == choosing.digest(table), "run: python -m benchmarks.choosing"
    shown = {text.get_text() for ax in choosing.figure(found).axes for text in ax.texts}
    assert {candidate.name for branch in found for candidate in branch.candidates} <= shown
    assert {branch.leaf.answers[2] for branch in found} <= shown


def test_a_leaf_has_what_its_answers_allow_in_the_order_of_the_measurements(measured: dict[str, Any]) -> None:
    for branch in choosing.branches():
        rows = measured["rows"][branch.leaf.rows]
        made = {entry.name: entry.at_defaults for entry in entries()}
        assert branch.candidates
        assert all(branch.leaf.allows(made[candidate.name]) for candidate in branch.candidates)
        assert all(not made[candidate.name].noiseless for candidate in branch.candidates)
        if branch.leaf.by_bound:
            bounds = [candidate.bound for candidate in branch.candidates]
            assert bounds == sorted(bounds, reverse=True)
        else:
            products = {name: row["encoder"]["variance"] * row["ms"] for name, row in rows.items()}
            allowed = [
                name for name, each in made.items() if name in rows and branch.leaf.allows(each) and not each.noiseless
            ]
            assert branch.candidates[0].name == min(allowed, key=products.__getitem__)
