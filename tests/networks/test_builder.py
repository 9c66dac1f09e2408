"""A network is a module, or what a builder makes."""

import pytest
from torch import nn

from reparam_suite.networks import MLP, Builder, built


def test_a_module_stays_and_a_builder_is_called_with_the_shapes():
    module = nn.Linear(2, 3)
    assert built(module, (2,), (3,), "encoder") is module
    given = []
    assert built(lambda *shapes: given.append(shapes) or module, (2,), (3,), "encoder") is module
    assert given == [((2,), (3,))]
    assert isinstance(MLP(), Builder)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear, "encoder: expected a module or a builder, got the class Linear: call it first"),
        (lambda *_: "network", "encoder: expected a builder that returns an nn.Module, got str"),
    ],
)
def test_what_makes_no_network_is_refused(network, message):
    with pytest.raises(TypeError) as refused:
        built(network, (2,), (3,), "encoder")
    assert str(refused.value) == message
