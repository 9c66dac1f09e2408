"""Answers about loaders of others, found by reading a few of their rows."""

import re

import pytest
import torch
from tests.data.loader_cases import LABELS, ROWS, X, loaders
from torch.utils.data import (
    DataLoader,
    TensorDataset,
)

from reparam_suite.data import DataError, Loaders


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        ((X > 0).float(), "binary"),
        (X > 0, "binary"),
        ((X * 10).abs().long(), "count"),
        (X.sigmoid(), "grey"),
        (X.sigmoid().expand(53, 3, 4, 2), "colour"),
        ((X.sigmoid() * 255).byte(), "grey"),
        (X.double(), "real"),
        (X.bfloat16(), "real"),
    ],
)
def test_batches_are_handed_over_as_they_come(x, kind):
    rows = DataLoader(TensorDataset(x), batch_size=60)
    data = Loaders(train=rows, valid=rows, test=rows)
    assert data.kind == kind
    (batch,) = data.sample_batch("test")
    assert batch.dtype == x.dtype
    assert torch.equal(batch, x)
    assert next(iter(data.test_dataloader()))[0].dtype == x.dtype


def test_the_kind_can_be_stated_and_is_checked():
    rows = DataLoader(TensorDataset((X * 10).abs().round()), batch_size=60)
    assert Loaders(train=rows, valid=rows).kind == "real"
    assert Loaders(train=rows, valid=rows, kind="count").kind == "count"
    with pytest.raises(DataError, match='mine: kind "binary": expected 0 and 1, got train, float from 0'):
        _ = Loaders(train=rows, valid=rows, kind="binary", name="mine").kind
    with pytest.raises(ValueError, match="kind: expected"):
        Loaders(train=rows, valid=rows, kind="integers")


def test_splits_that_contradict_each_other_are_refused():
    bits = (X > 0).to(torch.uint8)
    data = Loaders(train=[bits], valid=[bits], test=[bits * 255])
    with pytest.raises(
        DataError, match="loaders: expected 0 and 1 in every split or in none, got train uint8 of 0 and"
    ):
        _ = data.kind


def test_without_test_loader_there_is_no_test_split():
    data = loaders(DataLoader(ROWS), name="mine")
    assert not data.has("test")
    with pytest.raises(DataError, match="mine: expected one of its splits train, valid, got test"):
        data.sample_batch("test")
    with pytest.raises(DataError, match="mine: expected a test split, got none"):
        data.test_dataloader()


@pytest.mark.parametrize(
    "train",
    [[{"x": X}], [LABELS], [(LABELS, X)], [X * 1j], [["text"]], [X * torch.nan], [X[:, :, :3], X]],
    ids=["dict", "scalars", "first scalars", "complex", "text", "missing", "ragged"],
)
def test_of_batches_without_x_nothing_is_claimed(train):
    data = loaders(train)
    assert data.kind is None
    assert data.train_mean is None
    assert data.sample_batch() is not None
    if data.event_shape is None or isinstance(train[0], dict):
        assert data.event_shape is None
        assert data.image_shape is None
        assert data.summary == "loaders: batches of the model's own form, rows: valid 53"


def test_missing_values_are_left_to_the_model():
    x = X.clone()
    x[::2, 0, 0, 0] = torch.nan
    data = loaders([x])
    assert data.kind == "real"
    expected = torch.nanmean(x, dim=0)
    assert torch.allclose(data.train_mean, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": []}, "loaders: train: expected at least one batch, got none"),
        ({"train": [X], "valid": [X[:, 0]]}, "valid: expected data of shape (1, 4, 2) like train's, got (4, 2)"),
    ],
)
def test_splits_that_do_not_fit_are_refused_when_asked_about(options, message):
    with pytest.raises(DataError, match=re.escape(message)):
        _ = loaders(**options).kind
