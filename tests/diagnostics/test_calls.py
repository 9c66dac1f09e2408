"""Tensors that a layer returned, and how their leading axes are read as rows."""

import pytest
import torch
from tests.distributions.foreign import Flow
from torch import nn

from reparam_suite.diagnostics.calls import NotLayerwiseError, rows, tensors_of
from reparam_suite.distributions import normal

A, B = torch.ones(2, 3), torch.zeros(2)


def test_a_distribution_returns_its_parameters_and_a_sequence_its_members():
    loc, scale = torch.randn(4, 2), torch.ones(4, 2)
    assert tensors_of(nn.Tanh(), A) == (A,)
    assert tensors_of(nn.Tanh(), [A, B])[1] is B
    assert all(map(torch.equal, tensors_of(nn.Tanh(), normal(loc, scale)), (loc, scale)))


@pytest.mark.parametrize(
    ("result", "told"),
    [({"a": A}, "dict"), ((A, None), "tuple"), (Flow(nn.Linear(3, 2), torch.zeros(2, 2)), "Flow")],
    ids=["dict", "tuple", "Flow"],
)
def test_what_has_no_rows_of_a_tensor_is_named_with_its_module(result, told):
    with pytest.raises(NotLayerwiseError, match=f"^Tanh returns {told}, no rows of a tensor$"):
        tensors_of(nn.Tanh(), result)


@pytest.mark.parametrize("shape", [(24, 5), (6, 4, 5), (2, 12, 5), (2, 3, 4, 5)])
def test_leading_axes_are_read_in_order_flattened_or_not(shape):
    tensor = torch.arange(120.0).reshape(shape)
    assert torch.equal(rows(tensor, (2, 3, 4)), torch.arange(120.0).reshape(2, 3, 4, 5))


def test_axes_of_one_datum_stay_as_they_are():
    assert rows(torch.zeros(6, 2, 2), (3, 2)).shape == (3, 2, 2, 2)
    with pytest.raises(NotLayerwiseError, match=r"shape \[5, 4\] does not have one row for each of \[2, 3\]"):
        rows(torch.zeros(5, 4), (2, 3))
