"""Class paths of version 0.1.0."""

import pytest

from reparam_suite.versions.classes import class_name, class_path, renamed


@pytest.mark.parametrize(
    ("path", "present"),
    [
        ("reparam_suite.variational.posteriors.DiagonalNormal", "reparam_suite.distributions.DiagonalNormal"),
        ("reparam_suite.estimators.pathwise.Pathwise", "reparam_suite.estimators.Pathwise"),
        ("reparam_suite.estimators.Pathwise", "reparam_suite.estimators.Pathwise"),
        ("my_package.variational.Own", "my_package.variational.Own"),
        ("Pathwise", "Pathwise"),
    ],
)
def test_classes_of_the_suite_have_the_path_that_their_room_exports(path, present):
    assert class_path(path) == present


def test_classes_are_renamed_at_any_depth_and_nothing_else_is():
    inner = {"class_path": "reparam_suite.estimators.baselines.Learned", "init_args": {"name": "a.b.c"}}
    data = {"class_path": "own.A", "init_args": {"parts": [inner], "text": "reparam_suite.variational.posteriors.X"}}
    found = renamed(data)
    assert found["class_path"] == "own.A"
    assert found["init_args"]["parts"] == [inner | {"class_path": "reparam_suite.estimators.Learned"}]
    assert found["init_args"]["text"] == data["init_args"]["text"]


@pytest.mark.parametrize(
    ("data", "name"), [({"class_path": "a.b.C"}, "C"), ({"class_path": 3}, ""), ({}, ""), (None, "")]
)
def test_the_name_of_a_class_has_no_module(data, name):
    assert class_name(data) == name
