"""The sweep command in the test's own process: a grid of which one combination diverges, then what is made of it."""

import shutil
import signal
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from tests.launching import sweep

from reparam_suite.sweeps.sweep import Sweep
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import Stopped

BASE = {
    "model": {"class_path": "DiscreteVAE", "init_args": {"latent_size": 4, "hidden_sizes": [8]}},
    "data": {"class_path": "Digits", "init_args": {"batch_size": 300}},
    "record": {"every": 3, "gradients_every": 100},
}
TABLE = {"rows": ["model.estimator"], "columns": ["test/elbo", "train/elbo@6"]}
GOOD = [
    {"model.estimator": "DisARM", "model.learning_rate": 1e-3},
    {"model.estimator": "StraightThrough", "model.learning_rate": 1e-3},
]
SETTINGS = {"name": "s", "base": "base.yaml", "budget": {"steps": 6}, "seeds": [0, 1], "cells": GOOD}


def sweep_file(folder, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE))
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**SETTINGS, **settings}, sort_keys=False))
    return str(folder / "sweep.yaml")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two combinations that train, one that diverges, and a file of results."""
    folder = tmp_path_factory.mktemp("sweep")
    diverges = {"model.estimator": "ReinMax", "model.learning_rate": 1e30}
    results = {"file": str(folder / "kept.csv"), "metrics": ["test/elbo", "train/elbo@6"]}
    file = sweep_file(folder, cells=[*GOOD, diverges], table=TABLE, results=results)
    return SimpleNamespace(folder=folder, file=file, ended=sweep("--config", file, root=folder / "mlruns"))


def test_the_plan_comes_first_and_a_failed_run_ends_no_other_and_is_told(swept):
    assert swept.ended.code == 1, swept.ended.err
    out = swept.ended.out
    assert "plan       6 runs of 3 combinations; 0 on record; 6 to train, 36 steps" in out
    assert out.count("failed     model.estimator='ReinMax', model.learning_rate=1e+30, seed") == 2
    assert "NonFiniteLoss" in out
    assert "finished   4 of 6 runs, 4 of them now" in out
    assert "│ StraightThrough │" in out
    assert out.index("plan ") < out.index("failed ")


def test_the_same_call_trains_what_is_missing(swept):
    again = sweep("--config", swept.file, "--where", "{model.learning_rate: 0.001}", root=swept.folder / "mlruns")
    assert again.code == 0, again.err
    assert "4 runs of 2 combinations; 4 on record; 0 to train" in again.out
    assert "finished   4 of 4 runs, 0 of them now" in again.out


def test_results_in_a_file_are_not_trained_again_elsewhere(swept, tmp_path):
    kept = pd.read_csv(swept.folder / "kept.csv")
    assert len(kept) == 4
    given = ["--config", swept.file, "--where", "{model.learning_rate: 0.001}"]
    elsewhere = sweep(*given, root=tmp_path / "mlruns")
    assert elsewhere.code == 0, elsewhere.err
    assert "4 runs of 2 combinations; 4 on record; 0 to train" in elsewhere.out
    assert not (tmp_path / "mlruns").exists()
    (line,) = [line for line in elsewhere.out.splitlines() if line.startswith("│ DisARM")]
    assert line in again_printed(swept)


def again_printed(swept):
    """The rows of the table as they are without the combination that diverged."""
    given = ["--config", swept.file, "--where", "{model.learning_rate: 0.001}"]
    return sweep(*given, root=swept.folder / "mlruns").out.splitlines()


def test_summaries_have_means_and_deviations_as_metrics(swept):
    store = Store.open(TrackingSettings(root=swept.folder / "mlruns"))
    runs = [run for run in store.runs("tags.sweep = 's'", finished=True) if run.tags["estimator"] == "DisARM"]
    values = pd.Series([run.metrics["test/elbo"] for run in runs])
    (summary,) = store.runs("tags.summary = 'sweep' and tags.`sweep.value.model.estimator` = \"'DisARM'\"")
    assert summary.metrics["test/elbo"] == pytest.approx(values.mean())
    assert summary.metrics["test/elbo_std"] == pytest.approx(values.std())
    assert summary.metrics["n"] == 2


def test_a_misspelled_metric_is_reported_before_the_runs_train(swept, tmp_path):
    root = tmp_path / "mlruns"
    shutil.copytree(swept.folder / "mlruns", root)
    given = ["--config", swept.file, "--where", "{model.estimator: DisARM}", "--seeds", "[0, 2]", "--results", "null"]
    asked = sweep(*given, "--table.columns", "[tset/elbo]", root=root)
    assert "has not recorded tset/elbo, did you mean test/elbo?" in asked.out
    assert asked.out.index("warning    table.columns: run ") < asked.out.index("progress ")
    assert asked.code == 2


def test_a_table_of_a_sweep_on_record_is_printed_and_written(swept, tmp_path):
    output = tmp_path / "table.tex"
    args = ["--rows", "[model.estimator]", "--columns", "[test/elbo, train/elbo@3]", "--output", str(output)]
    ended = sweep("table", "s", *args, root=swept.folder / "mlruns")
    assert ended.code == 0, ended.err
    assert "train/elbo@3" in ended.out
    assert r"\toprule" in output.read_text()
    unknown = sweep("table", "t", *args, root=swept.folder / "mlruns")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)
    assert "expected a sweep on record in experiment reparam_suite of sqlite:///" in unknown.err


def test_a_file_that_changed_under_the_same_name_is_refused_with_the_differences(swept, tmp_path):
    file = sweep_file(tmp_path, budget={"steps": 7}, cells=[{"model.estimator": "DARN"}])
    ended = sweep("--config", file, root=swept.folder / "mlruns")
    assert ended.code == 2
    assert "--name: sweep s is on record already and differs: budget.steps was 6, is 7" in ended.err


@pytest.mark.parametrize(
    ("settings", "args", "told"),
    [
        (
            {"cells": [{"model.estimater": "DisARM"}]},
            [],
            "--grid: no run can be made with model.estimater: --model.estimater: DiscreteVAE has no such option, did "
            "you mean estimator?",
        ),
        (
            {"cells": [], "grid": {"model.latent_sise": [2, 3]}},
            [],
            "DiscreteVAE has no such option, did you mean latent_size?",
        ),
        (
            {"cells": [*GOOD[:1], {"model.estimator": "Pathwise", "model.learning_rate": 1e-3}]},
            [],
            "--grid: expected values that fit each other, got 1 of 2 combinations that make no run: "
            "model.estimator='Pathwise', model.learning_rate=0.001: ",
        ),
        ({"seeds": []}, [], "--seeds: expected at least one, got none"),
        ({"cells": []}, [], "--grid: expected at least one argument with its values, got none"),
        (
            {"cells": [], "zipped": {"model.latent_size": [1, 2], "model.learning_rate": [0.1]}},
            [],
            "--zipped: expected lists of one length, got 2 of model.latent_size, 1 of model.learning_rate",
        ),
        ({"options": {"tracking.root": "x"}}, [], "--tracking.root comes from the options --tracking of the command"),
        ({"base": "nowhere.yaml"}, [], "--base: there is no file "),
        ({}, ["--shard", "3/2"], "--shard: expected I/N with I from 1 to N, got 3/2"),
        ({}, ["--workers", "0"], "--workers: expected an integer of at least 1, got 0"),
        ({}, ["--where", "{model.estimator: REBAR}"], "--where: expected values of the grid, got "),
        ({}, ["--sedes", "[1]"], "unknown option --sedes, did you mean --seeds?"),
        ({"table": {"output": "table.doc"}}, [], "output: expected a file that ends in .tex, .md or .csv"),
        (
            {"table": {"rows": ["model.estimatr"], "columns": ["test/elbo"]}},
            [],
            "--table.rows: expected arguments of the grid (model.estimator, model.learning_rate), got model.estimatr",
        ),
        ({"table": {"rows": ["model.estimator"]}}, [], "--table.columns: expected at least one, got none"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_made(tmp_path, settings, args, told):
    ended = sweep("--config", sweep_file(tmp_path, **settings), *args, root=tmp_path / "mlruns")
    assert told in ended.err
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert not (tmp_path / "mlruns").exists()


def test_without_a_file_it_asks_for_one(tmp_path):
    assert "--config is needed: a sweep file" in sweep(root=tmp_path).err


def test_misfits_are_left_out_where_that_is_asked_for_and_a_dry_run_makes_nothing(tmp_path):
    misfit = {"model.estimator": "Pathwise", "model.learning_rate": 1e-3}
    file = sweep_file(tmp_path, cells=[*GOOD[:1], misfit])
    ended = sweep("--config", file, "--skip_misfits", "--dry_run", root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    assert "2 to train, 12 steps" in ended.out
    assert "left out   model.estimator='Pathwise', model.learning_rate=0.001: " in ended.out
    assert not (tmp_path / "mlruns").exists()


def test_a_signal_ends_it_with_the_command_that_resumes(tmp_path, monkeypatch):
    def stopped(self, signals, watcher):
        self.checked(watcher)
        raise Stopped(signal.SIGINT)

    monkeypatch.setattr(Sweep, "run_within", stopped)
    ended = sweep("--config", sweep_file(tmp_path, cells=GOOD[:1]), root=tmp_path / "mlruns")
    assert ended.code == 130
    assert (
        "0 of 2 runs are finished, and what was interrupted waits. To resume: python -m reparam_suite.sweep"
        in ended.err
    )


def test_help_has_the_options(tmp_path):
    ended = sweep("--help", root=tmp_path)
    assert ended.code == 0
    assert "--skip_misfits" in ended.out
    assert "--spread" in sweep("table", "--help", root=tmp_path).out
