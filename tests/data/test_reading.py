import itertools
import random

import numpy as np
import pytest
import torch
from tests.data.loader_cases import KINDS, ROWS, X, ask_everything, loaders
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from reparam_suite.data import Loaders


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
        again = [[batch[0].clone() for batch in data.train_dataloader()] for _ in range(2)]
        assert data.train_dataloader() is loader or isinstance(loader, list)
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


class Named(Dataset):
    """Rows by name: indices of its own form."""

    def __getitem__(self, name):
        return X[int(name["row"])]


class Endless(Sampler):
    """Indices without end and without length."""

    def __iter__(self):
        return itertools.cycle([5, 3, 4])


def test_indices_of_a_datasets_own_form_are_read_as_they_come():
    names = [{"row": str(row)} for row in range(10, 53)]
    data = loaders(DataLoader(Named(), batch_size=10, sampler=names))
    assert torch.equal(data.sample_batch(), X[10:20])
    assert data.num_rows == {"valid": 53}
    assert torch.equal(torch.cat(list(data.undivided("train"))), X[10:])


def test_of_an_endless_sampler_the_rows_that_it_gives_are_read():
    data = loaders(DataLoader(ROWS, batch_size=10, sampler=Endless()))
    assert data.sample_batch()[1].tolist() == [3, 4, 5]
