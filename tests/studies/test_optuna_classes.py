"""Samplers and pruners by name, those that Optuna warns of among them. Options of all of them: test_settings.py."""

import optuna
import pytest
from optuna.distributions import FloatDistribution

from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.distributions import ArgumentSpace
from reparam_suite.studies.optuna_classes import OptunaClass
from reparam_suite.studies.sampling import TrialSeeds
from reparam_suite.studies.search import Search, StudyStorage
from reparam_suite.studies.workers import joined


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        (OptunaClass("QMCSampler"), OptunaClass("PatientPruner", {"wrapped_pruner": None, "patience": 1})),
        (OptunaClass("GPSampler", {"n_startup_trials": 1}), OptunaClass("WilcoxonPruner")),
    ],
    ids=lambda chosen: chosen.name,
)
def test_what_optuna_says_of_experimental_classes_reaches_no_terminal(tmp_path, capfd, sampler, pruner):
    """A study from its options to its last trial, without training; a warning is an error in these tests."""
    sampler.check("sampler", optuna.samplers, optuna.samplers.BaseSampler)
    pruner.check("pruner", optuna.pruners, optuna.pruners.BasePruner)
    search = Search(
        name="s",
        make_run=print,
        space=ArgumentSpace({"a": FloatDistribution(0.0, 1.0)}),
        objectives={"val/elbo": "maximize"},
        num_trials=4,
        sampler=sampler.made(optuna.samplers),
        pruner=pruner.made(optuna.pruners),
        definition={},
    )
    queue = joined(search, StudyStorage(url=f"sqlite:///{tmp_path}/optuna.db", root=tmp_path))
    seeds = TrialSeeds(queue.study.sampler, None)
    queue.fill()
    try:
        while (claim := queue.claim()) is not None:
            seeds.set_for(claim.trial.number)
            value = search.space.suggest(claim.trial)["a"]
            for step in range(4):
                claim.trial.report(value + step, step)
                claim.trial.should_prune()
            queue.study.tell(claim.trial, value)
        assert len(queue.study.trials) == 4
    finally:
        queue.close()
    assert capfd.readouterr() == ("", "")


SAMPLER = ("sampler", optuna.samplers, optuna.samplers.BaseSampler)
PRUNER = ("pruner", optuna.pruners, optuna.pruners.BasePruner)


def test_a_class_is_made_with_its_options_and_no_word_about_experiments():
    given = OptunaClass("ThresholdPruner", {"lower": -3.0, "n_warmup_steps": 2})
    given.check(*PRUNER)
    pruner = given.made(optuna.pruners)
    assert type(pruner) is optuna.pruners.ThresholdPruner
    assert (pruner._lower, pruner._n_warmup_steps) == (-3.0, 2)
    OptunaClass("QMCSampler").check(*SAMPLER)  # experimental: a warning would be an error here


@pytest.mark.parametrize(
    ("given", "what", "message"),
    [
        (OptunaClass("TPE"), SAMPLER, "--sampler.name: expected BruteForceSampler, CmaEsSampler, "),
        (OptunaClass("BasePruner"), PRUNER, "--pruner.name: expected HyperbandPruner, "),
        (OptunaClass("TPESampler", {"sed": 1, "a": 2}), SAMPLER, "--sampler.options: TPESampler takes "),
        (OptunaClass("MedianPruner", {"n_warmup_steps": "a"}), PRUNER, "--pruner.options.n_warmup_steps: expected int"),
        (OptunaClass("MedianPruner", {"n_startup_trials": -1}), PRUNER, "--pruner: Number of startup trials cannot be"),
    ],
)
def test_what_cannot_be_made_is_refused_as_it_is_typed(given, what, message):
    with pytest.raises(UsageError) as refused:
        given.check(*what)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
