"""docs/bring_your_own.md: its snippets run, and the errors that it shows are those that a user sees."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "bring_your_own.md"


def test_snippets_run_and_errors_are_those_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 50
    assert PAGE.read_text(encoding="utf-8").count("Traceback") >= 8
    assert not list(tmp_path.iterdir()), "something was recorded"
