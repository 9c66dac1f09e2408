"""The command line of comparisons: which there are, and their help."""

from pathlib import Path

import pytest
from tests.launching import as_it_was, compare


def test_an_unknown_comparison_is_refused():
    with as_it_was():
        ended = compare("gradiants", root=Path("unused"))
    assert (ended.code, ended.err) == (
        2,
        "reparam_suite.compare: expected the command gradients or runs, got gradiants\n",
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ([], ["gradients", "runs"]),
        (
            ["gradients"],
            ["--checkpoint", "--estimators", "--reference", "--repeats", "--memory_budget", "--data", "untrained"],
        ),
        (["runs"], ["--experiment", "--study", "--filter", "--output", "--tracking.root", "Models, data sets"]),
    ],
    ids=" ".join,
)
def test_help_tells_all_options_wherever_it_is_asked_for(command, told, tmp_path):
    with as_it_was():
        ended = compare(*command, "--help", root=tmp_path / "unused")
    assert ended.code == 0, ended.err
    assert [option for option in told if option not in ended.out] == []
    assert list(tmp_path.iterdir()) == []
