"""Batches of any nesting: counted, cut and repeated along the first axis of every tensor."""

from typing import NamedTuple

import pytest
import torch
from tests.diagnostics.own_models import LowerHalf
from torch import Tensor

from reparam_suite.diagnostics.batches import device_of, mapped, num_data, part, repeated, split, split_evenly


class Named(NamedTuple):
    x: Tensor
    y: Tensor


X, Y = torch.arange(10.0).reshape(5, 2), torch.arange(5)
NESTED = {"x": X, "more": [Y, (X, "a name", torch.tensor(3.0))], "pair": Named(X, Y)}


def test_the_form_is_kept_and_what_has_no_batch_axis_is_handed_on():
    cut = part(NESTED, slice(1, 3))
    assert torch.equal(cut["x"], X[1:3])
    assert torch.equal(cut["more"][0], Y[1:3])
    assert cut["more"][1][1:] == ("a name", torch.tensor(3.0))
    assert type(cut["pair"]) is Named
    assert torch.equal(cut["pair"].y, Y[1:3])
    assert mapped("text", torch.neg) == "text"


def test_the_number_of_data_and_their_device():
    assert num_data(NESTED) == 5
    assert device_of(NESTED) == torch.device("cpu")
    with pytest.raises(ValueError, match="batch: expected a tensor with a batch axis, got dict without one"):
        num_data({"a": torch.tensor(1.0), "b": 3})
    with pytest.raises(ValueError, match="batch: expected tensors with one number of rows, got 2 and 5"):
        num_data([X, X[:2]])


@pytest.mark.parametrize(("size", "lengths"), [(2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_parts_of_one_size(size, lengths):
    parts = split((X, Y), size)
    assert [len(x) for x, _ in parts] == lengths
    assert torch.equal(torch.cat([y for _, y in parts]), Y)


@pytest.mark.parametrize("num_parts", [1, 2, 3, 5])
def test_parts_as_equal_as_can_be(num_parts):
    lengths = [len(x) for x in split_evenly(X, num_parts)]
    assert sum(lengths) == 5
    assert max(lengths) - min(lengths) <= 1


def test_repeats_stand_one_after_the_other():
    again = repeated((X, Y), 3)
    assert again[0].shape == (15, 2)
    assert torch.equal(again[1].reshape(3, 5), Y.expand(3, 5))


def test_batches_are_taken_apart_and_repeated_along_their_own_axis():
    batch = LowerHalf.batch(5)
    assert num_data(batch) == 5
    twice = repeated(batch, 2)
    assert torch.equal(twice["above"], torch.cat([batch["above"]] * 2))
    assert twice["rest"][1] == "a name"
    assert twice["number"] == 3
    assert [num_data(portion) for portion in split_evenly(batch, 3)] == [2, 2, 1]
    assert torch.equal(part(batch, slice(1, 3))["rest"][0], batch["rest"][0][1:3])
