import optuna
import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.space import parsed

SPACE = {
    "model.learning_rate": {"log_float": ["1e-4", 0.1]},
    "model.latent_size": {"int": [2, 8]},
    "model.estimator": {
        "categorical": {
            "DisARM": {"num_samples": {"categorical": [2, 4]}},
            "GumbelSoftmax": {"temperature": {"float": [0.2, 2.0]}},
            "ReinMax": None,
        }
    },
}


def drawn(space, num_trials=60):
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    trials = [study.ask() for _ in range(num_trials)]
    return [parsed(space).suggest(trial) for trial in trials], trials


def test_values_stay_in_their_ranges_and_only_the_options_of_the_choice_are_given():
    options, _ = drawn(SPACE)
    for option in options:
        assert 1e-4 <= option["model.learning_rate"] <= 0.1
        assert option["model.latent_size"] in range(2, 9)
        own = {
            "DisARM": {"model.estimator.num_samples"},
            "GumbelSoftmax": {"model.estimator.temperature"},
            "ReinMax": set(),
        }
        given = {name for name in option if name.startswith("model.estimator.")}
        assert given == own[option["model.estimator"]]
    assert {option["model.estimator"] for option in options} == {"DisARM", "GumbelSoftmax", "ReinMax"}


def test_a_logarithmic_range_is_drawn_by_its_logarithm():
    options, _ = drawn(
        {"a": {"log_float": [1e-4, 1.0]}, "b": {"float": [1e-4, 1.0]}, "c": {"log_int": [1, 10_000]}}, 400
    )
    for name, expected in {"a": 0.5, "b": 0.01, "c": 0.5}.items():
        below = sum(option[name] < (100 if name == "c" else 0.01) for option in options) / 400
        assert abs(below - expected) < 5.5 * (expected * (1 - expected) / 400) ** 0.5


def test_two_choices_may_have_an_option_of_one_name_with_different_ranges():
    space = {"e": {"categorical": {"A": {"k": {"int": [1, 2]}}, "B": {"k": {"categorical": ["x", "y"]}}}}}
    options, trials = drawn(space)
    assert {option["e.k"] for option in options if option["e"] == "A"} == {1, 2}
    assert {option["e.k"] for option in options if option["e"] == "B"} == {"x", "y"}
    assert {name for trial in trials for name in trial.params} == {"e", "e.A.k", "e.B.k"}


def test_every_end_and_every_choice_is_in_a_corner():
    found = list(parsed(SPACE).corners())
    seen = {(name, value) for corner in found for name, value in corner.items()}
    assert seen == {
        ("model.learning_rate", 1e-4),
        ("model.learning_rate", 0.1),
        ("model.latent_size", 2),
        ("model.latent_size", 8),
        ("model.estimator", "DisARM"),
        ("model.estimator", "GumbelSoftmax"),
        ("model.estimator", "ReinMax"),
        ("model.estimator.num_samples", 2),
        ("model.estimator.num_samples", 4),
        ("model.estimator.temperature", 0.2),
        ("model.estimator.temperature", 2.0),
    }
    assert len(found) == 5


def test_equal_spaces_have_equal_definitions_and_others_have_not():
    def of(space):
        return parsed(space).definition()

    assert of({"a": {"float": [1, 2]}}) == of({"a": {"float": [1.0, "2"]}})
    assert of({"a": {"float": [1, 2]}}) != of({"a": {"log_float": [1, 2]}})
    assert of({"a": {"int": [1, 2]}}) != of({"a": {"int": [1, 3]}})
    assert of({"a": {"categorical": {"x": {"k": {"int": [1, 2]}}}}}) != of({"a": {"categorical": ["x"]}})


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            {"flaot": [1, 2]},
            "space of a: expected one of float, log_float, int, log_int or categorical with its values",
        ),
        (3, "space of a: expected one of float"),
        ({"float": [1]}, r"space of a: expected float: \[lowest, highest\], got \[1\]"),
        ({"float": [2, 1]}, r"expected lowest < highest, got \[2, 1\]"),
        ({"log_float": [0, 1]}, "expected 0 < lowest < highest"),
        ({"int": [1.5, 3]}, "expected whole numbers, got 1.5"),
        ({"float": ["one", 3]}, "expected numbers, got one"),
        ({"float": [1, float("inf")]}, "expected numbers, got inf"),
        ({"categorical": []}, "expected categorical:"),
        ({"categorical": {"x": 3}}, "expected the options of x, got 3"),
        ({"categorical": {"x": {"k": {"int": 3}}}}, r"space of a.x.k: expected int: \[lowest, highest\], got 3"),
    ],
)
def test_a_space_that_cannot_be_understood_is_reported_in_one_line(described, message):
    with pytest.raises(UsageError, match=message):
        parsed({"a": described})


def test_a_value_that_the_storage_proposes_is_one_of_the_space():
    """A storage is somebody's file: a trial that waits in it may name any class, and is refused."""
    study = optuna.create_study()
    study.enqueue_trial({"model.estimator": "trap.Trap"})
    with pytest.raises(ValueError, match=r"'trap.Trap' not in \('DisARM', 'GumbelSoftmax', 'ReinMax'\)"):
        parsed(SPACE).suggest(study.ask())


def test_a_choice_that_a_trial_on_record_already_made_is_one_of_the_space():
    study = optuna.create_study()
    trial = study.ask()
    trial.suggest_categorical("model.estimator", ["trap.Trap"])
    with pytest.raises(ValueError, match="CategoricalDistribution does not support dynamic value space"):
        parsed({"model.estimator": SPACE["model.estimator"]}).suggest(trial)
