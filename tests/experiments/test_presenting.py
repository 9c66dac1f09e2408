"""An experiment leaves its figure, its numbers and a finished MLflow run; errors are reported before."""

import json

import pytest
from experiments.__main__ import EXPERIMENTS
from experiments.presenting import HERE, MEASURED, OUTPUT
from mlflow import MlflowClient

from experiments import why_the_trick

LONGEST = ("search_on_digits", "published_tables")
"""Each takes as long as all the others."""


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(why_the_trick, "NUM_DRAWS", 2_000)


def test_figure_numbers_and_run(tmp_path, few_draws, capsys):
    out, root = tmp_path / "out", tmp_path / "mlruns"
    assert why_the_trick.EXPERIMENT.main(["--output", str(out), "--root", str(root)]) == 0
    content = json.loads((out / "why_the_trick.json").read_text())
    assert content["length"] == "short"
    assert content["budget"] == why_the_trick.EXPERIMENT.short == "1,000,000 draws"
    assert content["numbers"]["pathwise"]["exact_variance"] == 4.0
    assert (out / "why_the_trick.png").read_bytes().startswith(b"\x89PNG")
    assert "wrong sign" in capsys.readouterr().out
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("experiments").experiment_id])
    assert (run.info.status, run.data.tags["experiment"]) == ("FINISHED", "why_the_trick")
    assert run.data.metrics["pathwise/exact_variance"] == 4.0
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"why_the_trick.png", "why_the_trick.json"} <= names


def test_a_store_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "out"), "--root", str(tmp_path / "m"), "--tracking_uri", "ftp://nowhere"]
    assert why_the_trick.EXPERIMENT.main(arguments) == 2
    assert "expected sqlite" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_length_is_refused():
    with pytest.raises(SystemExit, match="2"):
        why_the_trick.EXPERIMENT.main(["--length", "long"])


def test_every_experiment_is_run_by_the_one_command_and_listed():
    modules = {file.stem for file in HERE.glob("*.py") if "\nEXPERIMENT = " in file.read_text()}
    assert modules == {*EXPERIMENTS, *LONGEST}
    table = (HERE / "README.md").read_text()
    for name in modules:
        assert f"`python -m experiments.{name}`" in table


@pytest.mark.parametrize("name", [*EXPERIMENTS, *LONGEST])
def test_figures_and_numbers_are_there(name):
    content = json.loads((MEASURED / f"{name}.json").read_text())
    assert content["numbers"]
    assert content["table"]
    assert (MEASURED / f"{name}.png").exists()


def test_without_an_option_nothing_is_written_into_the_documentation():
    assert why_the_trick.EXPERIMENT._options([]).output == OUTPUT
    assert OUTPUT.parts[0] == "build"
