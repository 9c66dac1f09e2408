"""The README and the pages of tasks: their programs run, their commands are accepted, their links lead somewhere."""

import inspect
import re
import runpy
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from tests.launching import as_it_was, ended_sooner

from reparam_suite import Study, Sweep
from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.commands.options import Options
from reparam_suite.distributions import bernoulli, categorical, normal
from reparam_suite.estimators import DisARM, GradientEstimator
from reparam_suite.sweeps import SweepResult

ROOT = Path(__file__).parents[1]


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def programs(page):
    return re.findall(r"^```python\n(.*?)^```", text(page), re.DOTALL | re.MULTILINE)


(RUN,), (COMPARE,), (TABLE,), (STUDY, *_) = map(
    programs, ("README.md", "docs/gradients.md", "docs/paper_table.md", "docs/studies.md")
)
COMMANDS = [
    line.partition(" #")[0].strip()
    for page in ("README.md", "docs/choosing.md", "docs/cluster.md")
    for line in re.findall(r"^python -m reparam_suite\.fit.*$", text(page), re.MULTILINE)
    if "--help" not in line and "--resume" not in line
]


@pytest.mark.slow
def test_the_run_and_the_comparison(tmp_path, monkeypatch, capsys):
    """One after the other, as a reader has them who goes through the pages; the run takes 10 steps."""
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


def test_the_study(monkeypatch, capsys):
    """It is made as the page says, and its runs as well; tests/examples trains one."""
    monkeypatch.setattr(Study, "run", lambda self: SimpleNamespace(best_params={}, best_run_id="id"))
    page = {"__name__": "__main__"}
    exec(compile(STUDY, "studies.md", "exec"), page)
    run = page["make_run"](learning_rate=1e-3, latent_size=3, seed=1)
    assert run.model().posterior(run.data.sample_batch()).event_shape == (3,)
    assert capsys.readouterr().out == "{} id\n"


def test_the_table(monkeypatch):
    """The sweep is made as the page says, and its runs as well; tests/examples trains one."""
    asked = []

    def table(rows, columns, select, over, spread="std", titles=None):
        return asked.append((rows, columns, select, over))

    monkeypatch.setattr(Sweep, "run", lambda self: asked.append(len(self.plan())) or SimpleNamespace(table=table))
    page = {"__name__": "__main__"}
    exec(compile(TABLE, "paper_table.md", "exec"), page)
    assert asked == [8, ("estimator", ["test/elbo", "grad/encoder/variance"], "val/elbo_best", "learning_rate")]
    run = page["make_run"](learning_rate=1e-3, latent_size=3, seed=1, estimator=DisARM())
    assert run.model().posterior(run.data.sample_batch()).event_shape == (3,)
    assert set(inspect.signature(table).parameters) == set(inspect.signature(SweepResult.table).parameters) - {"self"}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_accepted(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    options = Options.of(shlex.split(command)[3:])
    assert options.run(seed=0)


def test_there_are_commands():
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md", "experiments/README.md"]
)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)[)#]", text(page))
    assert links
    folder = (ROOT / page).parent
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []


def test_the_readme_comes_to_the_point():
    """One screen to the first picture; what is longer has a page."""
    lines = text("README.md").splitlines()
    assert next(number for number, line in enumerate(lines, 1) if line.startswith("![")) <= 40
    assert len(lines) <= 180


def test_the_table_of_the_page_is_that_of_its_file():
    page = text("docs/paper_table.md")
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    content = yaml.safe_load((ROOT / "conf/sweeps/digits.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(shown) == content


TABLE_OF_LATENTS = text("docs/choosing.md").partition("## Which estimators fit which latents")[2]
LATENTS = {
    "normal": [normal(torch.zeros(2, 3), torch.ones(2, 3))],
    "bits": [bernoulli(torch.zeros(2, 3))],
    "categorical": [categorical(torch.zeros(2, 2, 3))],
    "bits and categorical, biased": [bernoulli(torch.zeros(2, 3)), categorical(torch.zeros(2, 2, 3))],
}


@pytest.mark.parametrize("row", LATENTS)
def test_the_table_of_estimators_is_that_of_the_library(row):
    (listed,) = re.findall(rf"^\| {row} \| (.*) \|$", TABLE_OF_LATENTS, re.MULTILINE)
    made = [cls() for cls in concrete_subclasses(GradientEstimator)]
    expected = {
        type(estimator).__name__
        for estimator in made
        if all(estimator.fits(q) is None for q in LATENTS[row]) and estimator.unbiased == ("biased" not in row)
    }
    assert set(re.findall(r"`(\w+)`", listed)) == expected
