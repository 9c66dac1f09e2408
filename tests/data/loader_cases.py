import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from reparam_suite.data import Loaders

X = torch.from_numpy(np.random.default_rng(5).normal(size=(53, 1, 4, 2))).float()


LABELS = torch.arange(53)


ROWS = TensorDataset(X, LABELS)


class Stream(IterableDataset):
    def __iter__(self):
        return zip(X, LABELS, strict=True)


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


def ask_everything(data):
    answers = [data.event_shape, data.kind, data.num_rows, data.train_mean, data.digest, data.summary, data.image_shape]
    for split in ("train", "valid", "test"):
        if data.has(split):
            answers += [data.sample_batch(split), list(data.undivided(split))]
    return answers
