"""Estimators as text: what is accepted, what is not, and that none of it is run."""

import pytest

from reparam_suite.commands.expressions import parse
from reparam_suite.runtime.construction import construct
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.expressions import written

OPTION = "--estimators"
DISARM = {"class_path": "DisARM", "init_args": {}}
RLOO = {
    "class_path": "ScoreFunction",
    "init_args": {"num_samples": 4, "baseline": {"class_path": "LeaveOneOut", "init_args": {}}},
}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["all"], ["all"]),
        (["DisARM"], [DISARM]),
        (["DisARM()", "all"], [DISARM, "all"]),
        (["ScoreFunction(num_samples=4, baseline=LeaveOneOut())"], [RLOO]),
        (["ScoreFunction(num_samples=4, baseline=LeaveOneOut)"], [RLOO]),
        (["[DisARM, ScoreFunction(num_samples=4, baseline=LeaveOneOut())]"], [DISARM, RLOO]),
        (["['DisARM', all]"], [DISARM, "all"]),
        (["DisARM, all"], [DISARM, "all"]),
        (["my.package.Mine(scale=-1.5)"], [{"class_path": "my.package.Mine", "init_args": {"scale": -1.5}}]),
        (["Mine(sizes=[1, 2], name='x', of=None)"],
         [{"class_path": "Mine", "init_args": {"sizes": [1, 2], "name": "x", "of": None}}]),
    ],
)  # fmt: skip
def test_expressions_and_lists_of_them(texts, expected):
    assert parse(texts, OPTION) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected one estimator or more, got an empty list"),
        ("[]", "expected one estimator or more, got an empty list"),
        ("DisARM(", "expected all, a class, CLASS(name=value), a list of these or a YAML file, got DisARM("),
        ("3", "expected all, a class, CLASS(name=value), a list of these or a YAML file, got 3"),
        ("f()()", "expected all, a class, CLASS(name=value), a list of these or a YAML file, got f()()"),
        ("DisARM(4)", "the arguments of DisARM are given by name, DisARM(name=value), got DisARM(4)"),
        ("DisARM(**{})", "the arguments of DisARM are given by name, DisARM(name=value), got DisARM(**{})"),
        ("DisARM(num_samples=2 * 2)", "2 * 2 is no number, text, list or class, in DisARM(num_samples=2 * 2)"),
        ("none.yaml", "the file none.yaml cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_expression_is_refused(text, message):
    with pytest.raises(UsageError) as error:
        parse([text], OPTION)
    assert str(error.value) == f"{OPTION}: {message}"


def test_a_file_lists_expressions_and_configurations(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "- DisARM\n- ScoreFunction(num_samples=4, baseline=LeaveOneOut())\n- class_path: REBAR\n  init_args: {}\n"
    )
    assert parse([str(file)], OPTION) == [DISARM, RLOO, {"class_path": "REBAR", "init_args": {}}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected one estimator or more, got an empty list"),
        ("a: 1", "holds no list of estimators, got dict"),
        ("- 3", "holds 3; expected an expression, or class_path and init_args"),
        ("- other.yaml", "holds 'other.yaml'; expected an expression, or class_path and init_args"),
        ("a: b: c", "is no YAML: mapping values are not allowed"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path, content, message):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(UsageError, match=message):
        parse([str(file)], OPTION)


@pytest.mark.parametrize(
    "text",
    [
        "DisARM()",
        "DisARM(num_samples=4)",
        "ScoreFunction(num_samples=4, baseline=LeaveOneOut())",
        "ScoreFunction(baseline=VarianceNormalized(baseline=Learned(hidden_sizes=[7])))",
        "GumbelSoftmax(temperature=ExponentialDecay(start=2.0))",
    ],
)
def test_an_expression_makes_the_object_that_is_written_so(text):
    (configuration,) = parse([text], OPTION)
    assert written(construct(full(configuration))) == text


def full(configuration):
    """With the class paths that the names stand for."""
    if not isinstance(configuration, dict) or "class_path" not in configuration:
        return configuration
    path = f"reparam_suite.estimators.{configuration['class_path']}"
    return {
        "class_path": path,
        "init_args": {name: full(argument) for name, argument in configuration["init_args"].items()},
    }
