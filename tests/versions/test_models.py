"""Options of the models of version 0.1.0."""

import pytest

from reparam_suite.models import GaussianVAE, OptimizerSettings
from reparam_suite.objectives import ELBO, ImportanceWeighted
from reparam_suite.runtime.construction import construct
from reparam_suite.versions.errors import EarlierVersionError
from reparam_suite.versions.models import likelihood, model_description

SIZES = {"num_features": 6, "observation": "binary", "latent_size": 2, "hidden_sizes": [4]}


def made(**options):
    path = "reparam_suite.models.vae.GaussianVAE"
    return construct(model_description({"class_path": path, "init_args": SIZES | options}))


def test_sizes_are_the_shape_of_a_datum_and_the_observation_is_the_likelihood():
    model = made(observation="real", learning_rate=0.1, activation="tanh")
    assert type(model) is GaussianVAE
    assert model.event_shape == (6,)
    assert type(model.likelihood.family).__name__ == "NormalLikelihood"
    assert model.learning_rate == 0.1


def test_the_kl_and_the_bound_are_the_objective():
    objective = made(kl="sampled", kl_weight=0.5, kl_warmup_steps=3, bound=None).objective
    assert isinstance(objective, ELBO)
    assert (objective.kl, objective.weight, objective.warmup_steps) == ("sampled", 0.5, 3)
    average = {"class_path": "reparam_suite.estimators.bounds.Average", "init_args": {}}
    assert made(kl=None, bound=average).objective.kl == "auto"
    logarithmic = {"class_path": "reparam_suite.estimators.bounds.LogMeanExp", "init_args": {}}
    objective = made(kl="sampled", bound=logarithmic).objective
    assert isinstance(objective, ImportanceWeighted)
    assert type(objective.bound).__name__ == "LogMeanExp"


ADAM = {"name": "Adam", "learning_rate": None, "options": {}}
SGD = {"name": "SGD", "learning_rate": 0.1, "options": {"momentum": 0.9}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, OptimizerSettings()),
        ({"optimizer": ADAM, "prior_optimizer": None}, OptimizerSettings()),
        ({"optimizer": SGD}, OptimizerSettings(**SGD)),
        (
            {"optimizer": ADAM, "prior_optimizer": SGD},
            {part: OptimizerSettings(**(SGD if part == "prior" else ADAM)) for part in ("encoder", "decoder", "prior")}
            | {"control": OptimizerSettings()},
        ),
    ],
    ids=["none", "default", "one", "parts"],
)
def test_optimizers_of_parts_are_settings_by_part(options, expected):
    model = made(**options)
    assert model.optimizer == expected
    model.made_optimizer()


@pytest.mark.parametrize(
    ("path", "options", "told"),
    [
        ("my_package.Own", {}, "model: expected GaussianVAE or DiscreteVAE of version 0.1.0, got Own"),
        ("GaussianVAE", {"bits": 2}, "model: expected options of GaussianVAE of version 0.1.0, got bits"),
        ("GaussianVAE", {"observation": "words"}, "model: expected observation binary or real, got words"),
    ],
)
def test_what_version_0_1_0_did_not_have_is_refused(path, options, told):
    with pytest.raises(EarlierVersionError, match=told):
        model_description({"class_path": path, "init_args": options})


def test_the_family_of_bits():
    assert likelihood("binary")["class_path"] == "reparam_suite.distributions.BernoulliLikelihood"
