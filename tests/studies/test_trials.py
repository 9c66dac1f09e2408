"""Trials of a study that go wrong, each in a way of its own: none ends another."""

import pytest
import torch
from tests.launching import study
from tests.studies.launched_trials import trial_runs, trials_of
from tests.studies.small import several, study_file

from reparam_suite.estimators import ScoreFunction


@pytest.mark.usefixtures("undrawn")
def test_a_trial_that_diverges_fails_alone(tmp_path):
    file = study_file(tmp_path, **several("model.learning_rate", [1e-3, 1e30]))
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    trials, runs = trials_of(tmp_path / "mlruns"), trial_runs(ended)
    assert {(trial.params["model.learning_rate"], trial.state.name) for trial in trials} == {
        (1e-3, "COMPLETE"),
        (1e30, "FAIL"),
    }
    failed = [trial for trial in trials if trial.state.name == "FAIL"]
    assert f"4 trials, {len(failed)} failed" in ended.out
    for trial in failed:
        run = runs[trial.number]
        assert (run.info.status, run.data.tags["trial.state"]) == ("FAILED", "FAIL")
        assert run.data.tags["trial.error"] == trial.user_attrs["error"] != ""


@pytest.mark.usefixtures("undrawn")
def test_a_trial_that_runs_out_of_memory_fails_alone(tmp_path, monkeypatch):
    draw = ScoreFunction.draw

    def draw_too_much(estimator, q):
        if estimator.training:  # the study's check of its options is in eval mode
            torch.empty(10**15)
        return draw(estimator, q)

    monkeypatch.setattr(ScoreFunction, "draw", draw_too_much)
    file = study_file(tmp_path, **several("model.estimator", ["DisARM", "ScoreFunction"]))
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    trials, runs = trials_of(tmp_path / "mlruns"), trial_runs(ended)
    assert {(trial.params["model.estimator"], trial.state.name) for trial in trials} == {
        ("DisARM", "COMPLETE"),
        ("ScoreFunction", "FAIL"),
    }
    for trial, run in zip(trials, runs, strict=True):
        assert run.info.status == {"COMPLETE": "FINISHED", "FAIL": "FAILED"}[trial.state.name]
        if trial.state.name == "FAIL":
            assert "can't allocate memory" in run.data.tags["trial.error"]
            assert trial.user_attrs["error"] == run.data.tags["trial.error"]


@pytest.mark.usefixtures("undrawn")
def test_a_trial_whose_options_do_not_fit_together_fails_alone(tmp_path):
    # DisARM takes pairs; the corners that are checked beforehand have even numbers only.
    space = {"model.estimator": {"categorical": {"DisARM": {"num_samples": {"int": [2, 4]}}}}}
    sampler = {"name": "RandomSampler", "options": {"seed": 3}}
    file = study_file(tmp_path, space=space, sampler=sampler, trials=4)
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    trials, runs = trials_of(tmp_path / "mlruns"), trial_runs(ended)
    odd = {trial.number for trial in trials if trial.params["model.estimator.DisARM.num_samples"] == 3}
    assert 0 < len(odd) < 4
    assert {trial.number for trial in trials if trial.state.name == "FAIL"} == odd
    for number in odd:
        assert runs[number].info.status == "FAILED"
        assert "num_samples" in runs[number].data.tags["trial.error"]


@pytest.mark.usefixtures("undrawn")
def test_a_trial_that_the_pruner_gives_up_is_killed_with_a_tag(tmp_path):
    pruner = {"name": "ThresholdPruner", "options": {"lower": -43.0}}
    settings = several("model.learning_rate", [1e-2, 1e-12]) | {"budget": {"steps": 20}, "pruner": pruner}
    ended = study("--config", study_file(tmp_path, **settings), root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    trials, runs = trials_of(tmp_path / "mlruns"), trial_runs(ended)
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    for trial, run in zip(trials, runs, strict=True):
        assert trial.state.name == {1e-2: "COMPLETE", 1e-12: "PRUNED"}[trial.params["model.learning_rate"]]
        assert run.data.tags["trial.state"] == trial.state.name
        assert run.info.status == {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}[trial.state.name]
        curve = dict(ended.curve("val/elbo", run.info.run_id))
        reported = trial.intermediate_values
        assert reported
        assert reported == {step: curve[step] for step in reported}
        if trial.state.name == "PRUNED":
            assert run.data.tags["trial.pruned"].startswith(f"pruned at step {max(reported)}, where val/elbo was -")
