"""The option that was meant: by its last part, by what others call it, by its spelling."""

import pytest

from reparam_suite.commands.suggestions import meant, meant_of_class

KNOWN = ["--model", "--model.estimator", "--trainer.max_epochs", "--data.batch_size", "--seed", "--monitor", "--tags"]


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("--estimator", "--model.estimator"),  # spelled like --monitor
        ("--epochs", "--trainer.max_epochs"),
        ("--bs", "--data.batch_size"),
        ("--modle", "--model"),
        ("--gpus", "--tags"),  # --trainer.devices is none of these
    ],
)
def test_an_option(name, option):
    assert meant(name, KNOWN) == f", did you mean {option}?"


def test_nothing_alike():
    assert meant("--zzz", KNOWN) == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lr", ", did you mean learning_rate?"),
        ("kl_weight", ", did you mean --model.objective.weight?"),
        ("latent_sizes", ", did you mean latent_size?"),
        ("epochs", ""),
    ],
)
def test_an_argument(name, told):
    assert meant_of_class(name, ["model"], ["latent_size", "learning_rate", "objective"]) == told
