"""Definitions of studies of version 0.1.0."""

from typing import Any

import pytest

from reparam_suite.versions.studies import comparable_definition, is_earlier_definition

SPACE = {"model.learning_rate": {"log_float": [0.001, 0.1]}}
REST: dict[str, Any] = {"objectives": [["val/elbo", "maximize"]], "budget": {"steps": 3}, "seeds": [0]}


def earlier(base: str, **options: Any) -> dict[str, Any]:
    return {"base": base, "options": options, "space": SPACE, **REST}


def present(base: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"base": base, "options": options, "space": SPACE, "constraints": {}, **REST}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("model:\n  class_path: A\n  init_args: {kl: sampled}", {"model": "A", "model.objective.kl": "sampled"}),
        ("model: {bound: LogMeanExp}", {"model": {"objective": "ImportanceWeighted"}}),
        ("model: {bound: {class_path: Average}}", {"model": {}}),
        ("model: {kl_weight: 0.5}", {"model": {"objective": {"class_path": "ELBO", "init_args": {"weight": 0.5}}}}),
        ("model: {prior_optimizer: {name: SGD}}", {"model": {"optimizer": {"prior": {"name": "SGD"}}}}),
        (
            "model: {posterior: reparam_suite.variational.DiagonalNormal}",
            {"model": {"posterior": "reparam_suite.distributions.DiagonalNormal"}},
        ),
    ],
)
def test_a_file_with_the_present_options_is_the_same_study(before, now):
    assert is_earlier_definition(earlier(before))
    assert not is_earlier_definition(present(now))
    assert comparable_definition(earlier(before)) == comparable_definition(present(now))


def test_options_beside_the_file_are_compared_by_their_present_names():
    before, now = earlier("{}", **{"model.kl_weight": 2.0}), present({}, **{"model.objective.weight": 2.0})
    assert comparable_definition(before) == comparable_definition(now)
    other = present({}, **{"model.objective.weight": 3.0})
    assert comparable_definition(before) != comparable_definition(other)


def test_the_names_of_what_is_searched_stay():
    searched = earlier("{}") | {"space": {"model.kl_weight": {"float": [0.0, 1.0]}}}
    assert comparable_definition(searched)["space"] == searched["space"]
