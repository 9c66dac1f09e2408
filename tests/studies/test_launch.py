"""The command, in the test's own process."""

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from tests.launching import fit, study
from tests.studies.launched_trials import trial_runs, trials_of
from tests.studies.small import several, study_file

from reparam_suite.tracking.options import options_of

SPACE = {
    "model.learning_rate": {"log_float": [1e-3, 1e-1]},
    "model.estimator": {
        "categorical": {"DisARM": {"num_samples": {"categorical": [2, 4]}}, "ScoreFunction": {}},
    },
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A study of four trials with two seeds each."""
    root = tmp_path_factory.mktemp("study")
    sampler = {"name": "TPESampler", "options": {"seed": 7}}
    file = study_file(root / "conf", space=SPACE, trials=4, seeds=[3, 5], sampler=sampler)
    ended = study("--config", file, root=root / "mlruns")
    assert ended.code == 0, ended.err
    (summary,) = [run for run in ended.every_run("small") if run.data.tags["study.run"] == "summary"]
    return SimpleNamespace(ended=ended, file=file, root=root / "mlruns", summary=summary)


def test_it_ends_with_the_trials_asked_for_and_says_what_was_best(searched):
    trials = trials_of(searched.root)
    best = max(trials, key=lambda trial: trial.value)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 4
    assert "4 trials" in searched.ended.out
    assert f"best  trial {best.number}: val/elbo {best.value:.6g} with model." in searched.ended.out
    assert searched.ended.run_ids == [searched.summary.info.run_id]
    for trial in trials:
        assert f"trial {trial.number} of 4  complete: val/elbo {trial.value:.6g}, " in searched.ended.out
    (file,) = re.findall(r"^best.yaml +(\S+)$", searched.ended.out, re.MULTILINE)
    assert yaml.safe_load(Path(file).read_text())["seeds"] == [3, 5]
    assert f"again      python -m reparam_suite.fit --config {file}" in searched.ended.out
    (options,) = re.findall(r"^options +(.+)$", searched.ended.out, re.MULTILINE)
    assert f"--model.estimator={best.params['model.estimator']}" in options.split()


def test_the_value_of_a_trial_is_the_mean_of_its_runs(searched):
    for trial in trials_of(searched.root):
        values = [searched.ended.curve("val/elbo", run_id)[-1][1] for run_id in trial.user_attrs["runs"]]
        assert len(values) == 2
        assert trial.value == sum(values) / 2


def test_trials_are_flat_runs_that_record_configuration_metrics_and_checkpoint_and_nothing_else(searched):
    runs = trial_runs(searched.ended)
    assert [int(run.data.tags["trial.number"]) for run in runs] == [0, 0, 1, 1, 2, 2, 3, 3]
    trials = trials_of(searched.root)
    for run in runs:
        trial = trials[int(run.data.tags["trial.number"])]
        assert run.info.status == "FINISHED"
        assert run.data.tags["trial.state"] == "COMPLETE"
        assert "mlflow.parentRunId" not in run.data.tags
        assert float(run.data.params["learning_rate"]) == trial.params["model.learning_rate"]
        assert run.data.tags["estimator"].startswith(trial.params["model.estimator"])
        assert {"val/elbo", "train/elbo", "time/ms_per_step"} <= set(run.data.metrics)
        assert not any(name.startswith("test/") for name in run.data.metrics)
        artifacts = searched.ended.artifacts(run.info.run_id)
        files = {file.relative_to(artifacts).as_posix() for file in artifacts.rglob("*.*")}
        assert files == {"checkpoints/best.ckpt", "config.yaml"}


def test_the_summary_has_figures_the_table_and_what_the_best_trial_left_out(searched):
    artifacts = searched.ended.artifacts(searched.summary.info.run_id)
    for name in ("optimization_history", "parallel_coordinate", "slice", "param_importances"):
        assert (artifacts / "study" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (artifacts / "study.html").read_text()
    assert page.count('class="plotly-graph-div"') == 4
    assert "<script src=" not in page.replace('<script src="https://cdn.mathjax', "")
    assert (artifacts / "figures" / "reconstructions.png").exists()
    assert "test/elbo" in searched.summary.data.metrics
    assert searched.summary.info.status == "FINISHED"
    best = max(trials_of(searched.root), key=lambda trial: trial.value)
    assert searched.summary.data.tags["best.trial"] == str(best.number)
    assert searched.summary.data.metrics["best/val/elbo"] == best.value


def test_the_table_has_a_row_for_each_trial(searched):
    file = searched.ended.artifacts(searched.summary.info.run_id) / "trials.csv"
    rows = list(csv.DictReader(file.read_text().splitlines()))
    for row, trial in zip(rows, trials_of(searched.root), strict=True):
        assert float(row["val/elbo"]) == trial.value
        assert float(row["model.learning_rate"]) == trial.params["model.learning_rate"]
        assert row["runs"].split() == trial.user_attrs["runs"]
        assert row["state"] == "COMPLETE"


@pytest.mark.usefixtures("undrawn")
def test_the_best_configuration_makes_the_same_runs_again_to_the_last_bit(searched, tmp_path):
    file = searched.ended.artifacts(searched.summary.info.run_id) / "best.yaml"
    config = yaml.safe_load(file.read_text())
    assert (config["num_threads"], config["seeds"]) == (1, [3, 5])
    again = fit("--config", str(file), root=tmp_path)
    assert again.code == 0, again.err
    best = max(trials_of(searched.root), key=lambda trial: trial.value)
    for repeated, run_id in zip(again.run_ids, best.user_attrs["runs"], strict=True):
        for metric in ("val/elbo", "train/elbo"):
            assert again.curve(metric, repeated) == searched.ended.curve(metric, run_id)


def test_the_same_command_with_more_trials_continues_with_the_same_study_and_summary(searched):
    before = trials_of(searched.root)[:4]
    ended = study("--config", searched.file, "--trials", "5", root=searched.root)
    assert ended.code == 0, ended.err
    after = trials_of(searched.root)
    assert len(after) == 5
    assert [trial.value for trial in after[:4]] == [trial.value for trial in before]
    assert len({trial.params["model.learning_rate"] for trial in after}) == 5  # although the sampler has a seed
    summaries = [run for run in ended.every_run("small") if run.data.tags["study.run"] == "summary"]
    assert [(run.info.run_id, run.info.status) for run in summaries] == [(searched.summary.info.run_id, "FINISHED")]


def test_another_study_of_the_same_name_is_refused(searched, tmp_path):
    file = study_file(tmp_path, space={"model.latent_size": {"int": [2, 4]}})
    ended = study("--config", file, root=searched.root)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    for part in ("study small is in", "model.learning_rate", "model.latent_size"):
        assert part in ended.err


@pytest.mark.usefixtures("undrawn")
def test_a_study_without_any_value_fails_and_says_why(tmp_path):
    file = study_file(tmp_path, **several("model.learning_rate", [1e29, 1e30]))
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 1
    assert "no trial is complete, 4 failed: " in ended.err
    assert trials_of(tmp_path / "mlruns")[0].user_attrs["error"] in ended.err


@pytest.mark.usefixtures("undrawn")
def test_a_study_whose_trials_are_all_pruned_fails_and_says_why(tmp_path):
    pruner = {"name": "ThresholdPruner", "options": {"lower": 0.0}}
    settings = several("model.learning_rate", [1e-2, 1e-12]) | {"budget": {"steps": 10}, "pruner": pruner, "trials": 1}
    ended = study("--config", study_file(tmp_path, **settings), root=tmp_path / "mlruns")
    assert ended.code == 1
    assert "no trial is complete, 1 pruned: pruned at step " in ended.err
    (summary,) = [run for run in ended.every_run("small") if run.data.tags["study.run"] == "summary"]
    assert summary.info.status == "FAILED"


@pytest.mark.usefixtures("undrawn")
def test_a_comment_in_the_base_file_makes_no_other_study(tmp_path):
    file = study_file(tmp_path, space={"model.latent_size": {"int": [2, 4]}}, trials=1)
    assert study("--config", file, root=tmp_path / "mlruns").code == 0
    base = tmp_path / "base.yaml"
    base.write_text(f"# a comment\n{base.read_text()}")
    assert study("--config", file, root=tmp_path / "mlruns").code == 0
    base.write_text(base.read_text().replace("hidden_sizes:\n    - 8", "hidden_sizes:\n    - 9"))
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 2
    assert "base.model.init_args.hidden_sizes there is [8], here [9]" in ended.err


@pytest.mark.usefixtures("undrawn")
def test_estimators_compete_at_an_equal_number_of_evaluations_of_f(tmp_path):
    settings = several("model.estimator.num_samples", [2, 8]) | {
        "options": {"model.estimator": "DisARM"},
        "budget": {"evaluations": 48},
    }
    ended = study("--config", study_file(tmp_path, **settings), root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    options = [options_of(run.data.tags) for run in trial_runs(ended)]
    num_samples, steps = "model.init_args.estimator.init_args.num_samples", "trainer.max_steps"
    assert {(of_run[num_samples], of_run[steps]) for of_run in options} == {
        ("2", "24"),
        ("8", "6"),
    }


@pytest.mark.usefixtures("undrawn")
def test_the_best_trial_is_one_that_keeps_to_the_constraints(tmp_path):
    # A bound that no training improves is the lower one.
    settings = several("model.learning_rate", [1e-2, 1e-12]) | {
        "budget": {"steps": 20},
        "constraints": {"val/elbo": {"at_most": -43}, "val/kl": {"at_least": 0, "at_most": 1e6}},
    }
    ended = study("--config", study_file(tmp_path, **settings), root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    trials = trials_of(tmp_path / "mlruns")
    kept = {trial.number for trial in trials if trial.value <= -43}
    assert kept == {trial.number for trial in trials if trial.params["model.learning_rate"] == 1e-12}
    assert f"4 trials, {4 - len(kept)} infeasible" in ended.out
    (best,) = map(int, re.findall(r"best  trial (\d+): ", ended.out))
    assert best in kept
    assert trials[best].value == max(trials[number].value for number in kept) < max(trial.value for trial in trials)
    for trial in trials:
        assert trial.constraints["val/elbo at_most"] == trial.value + 43
        assert trial.constraints["val/kl at_least"] <= 0
    artifacts = ended.artifacts()
    rows = list(csv.DictReader((artifacts / "trials.csv").read_text().splitlines()))
    assert {int(row["number"]) for row in rows if row["feasible"] == "true"} == kept
    assert yaml.safe_load((artifacts / "best.yaml").read_text())["model"]["init_args"]["learning_rate"] == 1e-12
    ended = study("--config", study_file(tmp_path, **settings | {"constraints": {}}), root=tmp_path / "mlruns")
    assert ended.code == 2
    assert "constraints.val/elbo.at_most there is -43.0, here not given" in ended.err


@pytest.mark.usefixtures("undrawn")
def test_a_study_in_which_no_trial_keeps_to_the_constraints_fails_and_says_so(tmp_path):
    settings = {"space": {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}, "trials": 2}
    file = study_file(tmp_path, **settings, constraints={"val/elbo": {"at_least": 0}})
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 1
    assert "2 trials are complete, and none satisfies the constraints" in ended.err
