"""Search spaces from Optuna's distributions."""

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from reparam_suite.estimators import DisARM
from reparam_suite.studies.distributions import ArgumentSpace

SPACE = ArgumentSpace(
    {
        "rate": FloatDistribution(0.1, 0.5, step=0.2),
        "size": IntDistribution(2, 16, log=True),
        "name": CategoricalDistribution(["a", None, 3]),
    }
)


def test_a_trial_is_given_a_value_of_each_argument():
    given = {"rate": 0.3, "size": 7, "name": None}
    assert SPACE.suggest(FixedTrial(given)) == given
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    SPACE.suggest(trial)
    assert trial.distributions == SPACE.distributions, "steps and logarithms are kept"


def test_every_end_and_every_choice_is_at_a_corner():
    assert list(SPACE.corners()) == [
        {"rate": 0.1, "size": 2, "name": "a"},
        {"rate": 0.5, "size": 16, "name": None},
        {"rate": 0.1, "size": 2, "name": 3},
    ]


@pytest.mark.parametrize(
    ("distributions", "number"),
    [
        (SPACE.distributions, 3 * 15 * 3),
        ({"size": IntDistribution(2, 10, step=4)}, 3),
        ({"rate": FloatDistribution(0.0, 1.0)}, math.inf),
    ],
)
def test_points_are_counted(distributions, number):
    assert ArgumentSpace(distributions).num_points() == number


def test_equal_spaces_have_equal_definitions_in_plain_types():
    again = ArgumentSpace(dict(SPACE.distributions))
    assert SPACE.definition() == again.definition()
    assert SPACE.definition()["rate"] == {
        "name": "FloatDistribution",
        "attributes": {"step": 0.2, "low": 0.1, "high": 0.5, "log": False},
    }
    assert ArgumentSpace({"rate": FloatDistribution(0.1, 0.6)}).definition() != {"rate": SPACE.definition()["rate"]}
    assert SPACE.names() == {"rate", "size", "name"}


def test_choices_that_no_database_takes_are_refused():
    with pytest.warns(UserWarning, match="Choices for a categorical distribution"):
        choices = CategoricalDistribution([DisARM()])
    with pytest.raises(TypeError, match=r"space: e: expected choices that a database takes .*, got DisARM; give each"):
        ArgumentSpace({"e": choices})


def test_a_function_has_to_take_the_arguments():
    SPACE.check_accepted_by(lambda rate, size, name, seed: None)
    with pytest.raises(TypeError, match="make_run: expected a function of rate, size, name, seed, by name"):
        SPACE.check_accepted_by(lambda rate, seed: None)
