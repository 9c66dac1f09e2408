import random
import re

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from reparam_suite.data import DataError, Loaders

X = torch.from_numpy(np.random.default_rng(5).normal(size=(53, 1, 4, 2))).float()
LABELS = torch.arange(53)
ROWS = TensorDataset(X, LABELS)


class Stream(IterableDataset):
    def __iter__(self):
        return zip(X, LABELS, strict=True)


class Augmented(Dataset):
    """Rows with noise of every global generator."""

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return X[index] + torch.rand(()) + random.random() + np.random.random()  # noqa: NPY002


class Counted(Dataset):
    """Counts how often a row was read."""

    def __init__(self, num_rows):
        self.num_rows, self.num_reads = num_rows, 0

    def __len__(self):
        return self.num_rows

    def __getitem__(self, index):
        self.num_reads += 1
        return torch.randn(3)


def states():
    return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002


def ask_everything(data):
    answers = [data.event_shape, data.kind, data.num_rows, data.train_mean, data.digest, data.summary, data.image_shape]
    for split in ("train", "valid", "test"):
        if data.has(split):
            answers += [data.sample_batch(split), list(data.undivided(split))]
    return answers


def loaders(train, **options):
    return Loaders(train=train, **{"valid": DataLoader(ROWS, batch_size=20)} | options)


# Loaders over the same 53 rows: the loader, whether a number of rows is known, rows of the sample batch.
KINDS = {
    "shuffled": (lambda: DataLoader(ROWS, batch_size=10, shuffle=True), True, 10),
    "own generator": (
        lambda: DataLoader(ROWS, batch_size=10, shuffle=True, generator=torch.Generator().manual_seed(3)),
        True,
        10,
    ),
    "last dropped": (lambda: DataLoader(ROWS, batch_size=10, shuffle=True, drop_last=True), True, 10),
    "subset": (lambda: DataLoader(Subset(ROWS, range(53)), batch_size=10), True, 10),
    "sampler": (lambda: DataLoader(ROWS, batch_size=10, sampler=SubsetRandomSampler(range(53))), True, 10),
    "batch sampler": (
        lambda: DataLoader(ROWS, batch_sampler=BatchSampler(SequentialSampler(ROWS), 10, False)),
        True,
        10,
    ),
    "lists of indices": (
        lambda: DataLoader(ROWS, sampler=BatchSampler(RandomSampler(ROWS), 10, False), batch_size=None),
        False,
        10,
    ),
    "stream": (lambda: DataLoader(Stream(), batch_size=10), False, 10),
    "workers": (lambda: DataLoader(ROWS, batch_size=10, num_workers=2), True, 10),
    "list": (lambda: [(X[:30], LABELS[:30]), (X[30:], LABELS[30:])], False, 30),
    "bare tensors": (lambda: list(X.split(10)), False, 10),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_is_found_by_reading(kind):
    make, is_known, num_rows = KINDS[kind]
    data = loaders(make())
    assert data.event_shape == (1, 4, 2)
    assert data.kind == "real"
    assert data.num_rows == ({"train": 53} if is_known else {}) | {"valid": 53}
    assert torch.allclose(data.train_mean, X.mean(0), atol=1e-5)
    assert data.digest is None
    assert data.resumes == "epoch"
    assert data.image_shape == (1, 4, 2)
    batch = data.sample_batch("train")
    x = batch if kind == "bare tensors" else batch[0]
    assert x.shape == (num_rows, 1, 4, 2)
    if kind != "bare tensors":
        assert torch.equal(x, X[batch[1]]), "labels stay with their rows"
    whole = [batch if kind == "bare tensors" else batch[0] for batch in data.undivided("train")]
    assert sorted(torch.cat(whole).tolist()) == sorted(X.tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_reading_moves_neither_the_training_order_nor_a_generator(kind):
    make = KINDS[kind][0]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected = [[batch[0].clone() for batch in loader] for loader in [make()] for _ in range(2)]
        torch.manual_seed(1)
        loader = make()
        data = loaders(loader)
        before = states()
        ask_everything(data)
        assert states() == before
        assert data.train_dataloader() is loader
        again = [[batch[0].clone() for batch in loader] for _ in range(2)]
    for one, other in zip(expected, again, strict=True):
        assert len(one) == len(other)
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("kind", ["shuffled", "own generator", "sampler", "stream", "lists of indices"])
def test_the_sample_batch_is_the_same_whatever_the_seed(kind):
    batches = []
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            data = loaders(KINDS[kind][0]())
            next(iter(data.train_dataloader()))
            batches += [data.sample_batch()[0], data.sample_batch()[0]]
    assert all(torch.equal(batch, batches[0]) for batch in batches)


def test_random_transforms_draw_the_same_for_the_sample_batch_and_touch_no_generator():
    data = loaders(DataLoader(Augmented(), batch_size=10, shuffle=True))
    before = states()
    first = data.sample_batch()
    assert states() == before
    torch.rand(3)
    assert torch.equal(data.sample_batch(), first)


def test_rows_that_a_sampler_leaves_out_are_not_read():
    train = DataLoader(ROWS, batch_size=10, sampler=SubsetRandomSampler(range(0, 53, 2)))
    valid = DataLoader(ROWS, batch_size=10, sampler=SubsetRandomSampler(range(1, 53, 2)))
    data = Loaders(train=train, valid=valid)
    assert data.num_rows == {"train": 27, "valid": 26}
    assert set((data.sample_batch("train")[1] % 2).tolist()) == {0}
    assert set((data.sample_batch("valid")[1] % 2).tolist()) == {1}
    weights = [float(index < 5) for index in range(53)]
    weighted = loaders(DataLoader(ROWS, batch_size=10, sampler=WeightedRandomSampler(weights, 40)))
    assert weighted.sample_batch()[1].max() < 5


def test_reading_is_bounded():
    rows = Counted(100_000)
    data = loaders(DataLoader(rows, batch_size=50), valid=DataLoader(Counted(10), batch_size=50))
    assert data.num_rows == {"train": 100_000, "valid": 10}
    assert rows.num_reads == 0
    assert data.event_shape == (3,)
    assert rows.num_reads == 1
    assert data.kind == "real"
    assert rows.num_reads == 1_001
    assert data.train_mean.shape == (3,)
    assert rows.num_reads == 1_001


def test_an_endless_stream_is_read_from_its_beginning():
    class Endless(IterableDataset):
        def __iter__(self):
            while True:
                yield torch.randn(3)

    data = loaders(DataLoader(Endless(), batch_size=300), valid=DataLoader(Endless(), batch_size=20))
    assert data.kind == "real"
    assert data.sample_batch().shape == (300, 3)
    assert data.num_rows == {}


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


@pytest.mark.parametrize("value", [iter([X]), (x for x in X), X, X.numpy(), {"x": X}, None, 3, "x"])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_what_is_no_loader_is_refused_at_construction(split, value):
    expected = f"{split}: expected a DataLoader or another iterable of batches that can be iterated in every epoch, got"
    with pytest.raises(TypeError, match=re.escape(f"{expected} {type(value).__name__}")):
        loaders(**{"train": DataLoader(ROWS), split: value})


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([{"x": X}], "loaders: train: expected batches x [N, ...] or (x, ...), got dict"),
        ([LABELS], "loaders: train: expected batches x [N, ...] or (x, ...), got a tensor of shape (53,)"),
        ([], "loaders: expected one of its splits valid, got train"),
        ([X, X[:, 0]], "loaders: train: expected data of shape (1, 4, 2), got (1, 4, 2), (4, 2)"),
        ([X / 0], "loaders: train: expected finite real values, got others"),
    ],
)
def test_batches_that_hold_no_data_are_refused_when_asked_about(train, message):
    with pytest.raises(DataError, match=re.escape(message)):
        _ = loaders(train).kind
