"""Classes in help: one line each, and one page each."""

import pytest

from reparam_suite.commands.class_help import KINDS, class_named, class_page, class_table
from reparam_suite.estimators import DisARM, ScoreFunction
from reparam_suite.models import GaussianVAE


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_one_line_for_each_class(kind):
    title, *lines = class_table(kind, width=80).splitlines()
    assert title == f"{kind} ({KINDS[kind].option}):"
    assert len(lines) == len(list(KINDS[kind].classes())) > 0
    assert [line.split()[0] for line in lines] == sorted(cls.__name__ for cls in KINDS[kind].classes())
    assert max(map(len, lines)) <= 80
    assert all(len(line.split()) > 2 for line in lines)


def test_biased_estimators_are_marked():
    lines = {line.split()[0]: line for line in class_table("estimators", width=1_000).splitlines()[1:]}
    assert "  biased; " in lines["StraightThrough"]
    assert "biased" not in lines["DisARM"]
    assert "biased" not in lines["ScoreFunction"]


def test_a_class_is_described_with_its_arguments():
    page = class_page(DisARM, width=80)
    assert page.startswith("--estimator DisARM\n  --estimator.num_samples 2\n\nAntithetic pairs of Bernoulli samples")
    assert "arXiv 2006.10680" in page
    assert "--estimator.baseline None" in class_page(ScoreFunction, width=80)
    assert "--model.latent_size 10" in class_page(GaussianVAE, width=80)
    assert class_named("DisARM") is DisARM
    assert class_named("disarm") is None
