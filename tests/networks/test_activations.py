"""Activations by name."""

from typing import get_args

import pytest
from torch import nn

from reparam_suite.networks.activations import Activation, activation_of, require_activation


def test_every_name_makes_a_module_of_its_own():
    made = [activation_of(name) for name in get_args(Activation)]
    assert len({type(activation) for activation in made}) == len(made)
    assert all(isinstance(activation, nn.Module) for activation in made)
    assert activation_of("relu") is not activation_of("relu")


@pytest.mark.parametrize("name", ["gelu", None, ["relu"]])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match=r"^activation: expected one of relu, .*, silu, got "):
        require_activation(name)
