"""The content of study files, and refusals before anything is created."""

import pytest
from tests.studies.small import refused

from reparam_suite import study as study_command


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"space": {"model.latnt_size": {"int": [2, 4]}}}, "did you mean latent_size?"),
        ({"space": {"trainer.max_stepz": {"int": [2, 4]}}}, "trainer.max_steps"),
        ({"space": {"model.estimator": {"categorical": ["DisARN"]}}}, "got DisARN, did you mean DisARM?"),
        (
            {"space": {"model.estimator": {"categorical": {"DisARM": {"tau": {"int": [1, 2]}}}}}},
            "DisARM has no such option",
        ),
        (
            {"space": {"model.latent_size": {"int": [-4, 2]}}},
            "--model.latent_size: expected an integer of at least 1, got -4",
        ),
        ({"space": {"model.estimator": {"categorical": {"DisARM": {"num_samples": {"int": [2, 3]}}}}}}, "num_samples"),
        ({"space": {"model.learning_rate": {"flaot": [1, 2]}}}, "expected one of float"),
        ({"space": {}}, "--space: expected at least one, got none"),
        ({"options": {"model.latnt_size": 3}}, "did you mean latent_size?"),
        ({"base": "nowhere.yaml"}, "there is no file"),
        ({"trials": 0}, "--trials: expected an integer of at least 1, got 0"),
        ({"trails": 3}, "trails"),
        (
            {"budget": {"steps": 5, "evaluations": 5}},
            "expected one of steps, evaluations, seconds, got steps and evaluations",
        ),
        ({"budget": {"steps": 0}}, "budget.steps: expected an integer of at least 1, got 0"),
        ({"sampler": {"name": "TPE"}}, "--sampler.name: expected "),
        ({"name": ""}, "--name: expected a printable name, got ''"),
        ({"name": "n" * 251}, "--name: expected at most 250 characters, got 251: nnn"),
        ({"seeds": [1, 1]}, "--seeds: expected every value once, got 1 again"),
        ({"seeds": [-1]}, "--seeds: expected 0 to 4294967295, got -1"),
        (
            {"sampler": {"name": "BaseGASampler"}},
            "--sampler.name: expected BruteForceSampler, CmaEsSampler, GPSampler, GridSampler, NSGAIIISampler, "
            "NSGAIISampler, PartialFixedSampler, QMCSampler, RandomSampler or TPESampler, got BaseGASampler",
        ),
        (
            {"sampler": {"name": "TPESampler", "options": {"n_startup_trials": "ten"}}},
            "--sampler.options.n_startup_trials: expected int, got ten",
        ),
        ({"pruner": {"name": "MedianPruner", "options": {"n_warmup_steps": "a"}}}, "--pruner.options.n_warmup_steps: "),
        ({"sampler": {"name": "TPESampler", "options": {"sed": 1}}}, "--sampler.options: TPESampler takes "),
        ({"pruner": {"name": "MedianPruner", "options": {"n_startup_trials": -1}}}, "--pruner: "),
        ({"objectives": {"val/elbo": "up"}}, "maximize"),
        ({"objectives": {"elbo": "maximize"}}, "--objectives: expected a metric of the runs ("),
        (
            {"objectives": {"val/elbo": "maximize", "train/kl": "minimize"}, "pruner": {"name": "MedianPruner"}},
            "with several objectives Optuna prunes nothing",
        ),
        ({"constraints": {"speed": {"at_most": 5}}}, "--constraints: expected a metric of the runs ("),
        ({"objectives": {"val/elbow": "maximize"}}, "got val/elbow, did you mean val/elbo?"),
        (
            {"objectives": {"test/elbo": "maximize"}, "pruner": {"name": "MedianPruner"}},
            "--pruner: expected an objective",
        ),
        ({"constraints": {"val/kl": {"below": 5}}}, "below"),
        ({"constraints": {"val/kl": {}}}, "constraints: expected at_most, at_least or both, finite and in order, got"),
        ({"constraints": {"val/kl": {"at_most": 1, "at_least": 2}}}, "got at_least 2.0, at_most 1.0"),
        (
            {"space": {"trainer.max_epochs": {"int": [2, 4]}}, "budget": {"evaluations": 9}},
            "--trainer.max_epochs comes from --budget and cannot vary",
        ),
        ({"options": {"seed": 3}}, "--seed comes from --seeds of the study"),
        ({"space": {"trainer.max_steps": {"int": [2, 4]}}}, "--trainer.max_steps comes from --budget"),
    ],
)
def test_what_cannot_be_used_is_reported_in_one_line_before_anything_is_created(tmp_path, settings, message):
    assert message in refused(tmp_path, **settings)


def test_help_needs_no_file(capsys):
    with pytest.raises(SystemExit) as ended:
        study_command.main(["--help"])
    assert ended.value.code == 0
    assert "--storage" in capsys.readouterr().out
