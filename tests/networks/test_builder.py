"""A network is a module, or what a builder makes."""

import pytest
import torch
from torch import nn

from reparam_suite.networks import MLP, Builder, built


def test_a_module_stays_and_a_builder_is_called_with_the_shapes():
    module = nn.Linear(2, 3)
    assert built(module, (2,), (3,), "encoder") is module
    given = []
    assert built(lambda *shapes: given.append(shapes) or module, (2,), (3,), "encoder") is module
    assert given == [((2,), (3,))]
    assert isinstance(MLP(), Builder)


class OfOneShape:
    """A builder of a wrong signature."""

    def __call__(self, shape):
        raise AssertionError

    def __repr__(self) -> str:
        return "OfOneShape()"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear, "encoder: expected a module or a builder, got the class Linear: call it first"),
        (7, "encoder: expected a module or a builder (inputs, outputs) -> module, got 7"),
        ("abc", "encoder: expected a module or a builder (inputs, outputs) -> module, got 'abc'"),
        (OfOneShape(), "encoder: expected a module or a builder (inputs, outputs) -> module, got OfOneShape()"),
        (lambda *_: "network", "encoder: expected a builder that returns an nn.Module, got str"),
    ],
)
def test_what_makes_no_network_is_refused(network, message):
    with pytest.raises(TypeError) as refused:
        built(network, (2,), (3,), "encoder")
    assert str(refused.value) == message


def test_weights_are_of_the_type_of_all_others():
    with pytest.raises(ValueError, match=r"^decoder: expected weights of torch.float32, got torch.float64$"):
        built(nn.Linear(2, 3, dtype=torch.float64), (2,), (3,), "decoder")
