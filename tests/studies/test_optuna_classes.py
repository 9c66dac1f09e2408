"""Samplers and pruners by name."""

import optuna
import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.optuna_classes import OptunaClass

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
