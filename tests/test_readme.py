"""The README: its programs run, its commands are accepted, its links lead somewhere."""

import inspect
import re
import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.launching import as_it_was, ended_sooner

from reparam_suite import Study, Sweep
from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.commands.options import Options
from reparam_suite.distributions import bernoulli, categorical, normal
from reparam_suite.estimators import DisARM, GradientEstimator
from reparam_suite.sweeps import SweepResult

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page: (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "CONTRIBUTING.md")}
RUN, COMPARE, SEARCH, LOOP = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.partition(" #")[0].strip()
    for line in re.findall(r"^python -m reparam_suite\.fit.*$", README, re.MULTILINE)
    if "--help" not in line and "--resume" not in line
]


def test_the_bare_loop_learns(capsys):
    exec(compile(LOOP, "README.md", "exec"), {})
    assert float(capsys.readouterr().out) < 0.2


@pytest.mark.slow
def test_the_run_and_the_comparison(tmp_path, monkeypatch, capsys):
    """One after the other, as a reader who goes through the page has them; the run takes 10 steps."""
    monkeypatch.chdir(tmp_path)
    program, count = re.subn(r"max_steps=\d+", "max_steps=10", RUN + COMPARE)
    assert count == 1
    Path("page.py").write_text(program)
    with as_it_was(), ended_sooner():
        runpy.run_path("page.py", run_name="__main__")
    printed = capsys.readouterr().out
    assert "torch.Size([100, 6]) torch.Size([5, 64])" in printed
    assert "ScoreFunction(num_samples=4, baseline=LeaveOneOut())" in printed
    assert {"reconstructions.png", "gradients.png", "mlruns"} <= {path.name for path in tmp_path.iterdir()}


def test_the_study_and_the_sweep(monkeypatch, capsys):
    """Both are made as the page says, and their runs as well; tests/examples trains such ones."""
    asked = []

    def table(rows, columns, select, over, spread="std"):
        return asked.append((rows, columns, select, over))

    monkeypatch.setattr(Study, "run", lambda self: SimpleNamespace(best_params={}, best_run_id="id"))
    monkeypatch.setattr(Sweep, "run", lambda self: asked.append(len(self.plan())) or SimpleNamespace(table=table))
    page = {"__name__": "__main__"}
    exec(compile(SEARCH, "README.md", "exec"), page)
    assert asked == [8, ("estimator", ["test/elbo", "grad/encoder/variance"], "val/elbo_best", "learning_rate")]
    run = page["make_run"](learning_rate=1e-3, latent_size=3, seed=1, estimator=DisARM())
    assert run.model().posterior(run.data.sample_batch()).event_shape == (3,)
    assert capsys.readouterr().out.startswith("{} id")
    assert set(inspect.signature(table).parameters) == set(inspect.signature(SweepResult.table).parameters) - {"self"}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_accepted(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    options = Options.of(shlex.split(command)[3:])
    assert options.run(seed=0)


def test_there_are_commands():
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)\)", PAGES[page])
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


LATENTS = {
    "normal": [normal(torch.zeros(2, 3), torch.ones(2, 3))],
    "bits": [bernoulli(torch.zeros(2, 3))],
    "categorical": [categorical(torch.zeros(2, 2, 3))],
    "bits and categorical, biased": [bernoulli(torch.zeros(2, 3)), categorical(torch.zeros(2, 2, 3))],
}


@pytest.mark.parametrize("row", LATENTS)
def test_the_table_of_estimators_is_that_of_the_library(row):
    (listed,) = re.findall(rf"^\| {row} \| (.*) \|$", README, re.MULTILINE)
    made = [cls() for cls in concrete_subclasses(GradientEstimator)]
    expected = {
        type(estimator).__name__
        for estimator in made
        if all(estimator.fits(q) is None for q in LATENTS[row]) and estimator.unbiased == ("biased" not in row)
    }
    assert set(re.findall(r"`(\w+)`", listed)) == expected
