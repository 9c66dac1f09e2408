"""A logger whose package is missing is refused where it is made."""

import importlib.util

import pytest

from reparam_suite.tracking import TensorBoard, WeightsAndBiases


@pytest.mark.parametrize(("cls", "package"), [(TensorBoard, "tensorboard"), (WeightsAndBiases, "wandb")])
def test_a_missing_package_is_told_with_the_line_that_installs_it(cls, package, monkeypatch):
    assert isinstance(cls(), cls)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        cls()
    message = f"loggers: {cls.__name__} needs {package}; to have it: pip install 'reparam_suite[{package}]'"
    assert str(refused.value) == message
