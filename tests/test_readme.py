"""What the README shows, works: its code runs, its commands parse, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from torch.distributions import Bernoulli, Normal

from reparam_suite.commands.command_line import Command
from reparam_suite.estimators import GradientEstimator
from reparam_suite.commands.usage import concrete_subclasses
from reparam_suite.distributions import OneHotCategorical

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for line in re.findall(r"^python -m reparam_suite\.fit.*$", README, re.MULTILINE)
    if "--help" not in line
]


def test_the_bare_loop_learns(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert float(capsys.readouterr().out) < 0.2


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_accepted(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    Command(shlex.split(command)[3:])


def test_there_are_commands():
    assert len(COMMANDS) >= 4


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)\)", README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


LATENTS = {
    "normal": {Normal},
    "bits": {Bernoulli},
    "categorical": {OneHotCategorical},
    "bits and categorical, biased": {Bernoulli, OneHotCategorical},
}


@pytest.mark.parametrize("row", LATENTS)
def test_the_table_of_estimators_is_that_of_the_library(row):
    (listed,) = re.findall(rf"^\| {row} \| (.*) \|$", README, re.MULTILINE)
    expected = {
        cls.__name__
        for cls in concrete_subclasses(GradientEstimator)
        if LATENTS[row] <= set(cls.families) and cls().unbiased == ("biased" not in row)
    }
    assert set(re.findall(r"`(\w+)`", listed)) == expected
