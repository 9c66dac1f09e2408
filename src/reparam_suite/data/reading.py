"""Reading the loaders of others: fixed rows of a loader, while its order and all global generators stay as they are."""

import copy
import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, final

import numpy as np
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from reparam_suite.runtime.random_streams import unchanged_streams

_UNCOPYABLE = (TypeError, ValueError, RuntimeError, NotImplementedError, copy.Error, pickle.PicklingError)

_UNKNOWN_LENGTH = 10_000  # indices, or lists of them, of a sampler that may be endless

_DEFAULT_ROWS = 100  # of a batch, where a loader does not say how many


def datum_of(batch: Any) -> Any:
    """x of a batch: the batch itself, or the first member of a tuple or list."""
    return batch[0] if isinstance(batch, tuple | list) and batch else batch


@final
class LoaderReader:
    """Fixed rows of a loader, in the form of its batches.

    Rows of a map-style dataset are read by their indices; any other iterable from its beginning, on a copy where one
    can be made. Nothing is drawn from the loader's own generators, and its worker processes are not started.

    Args:
        loader: a DataLoader, or another iterable of batches that can be iterated anew.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader
        with unchanged_streams(0):
            self._indices: Sequence[Any] | None = _indices_of(loader)

    @property
    def batch_size(self) -> int:
        """Rows of a batch, where the loader says it; else 100."""
        sampler = getattr(self._loader, "batch_sampler", None)
        size = getattr(self._loader, "batch_size", None) or getattr(sampler, "batch_size", None)
        return size if isinstance(size, int) else _DEFAULT_ROWS

    @property
    def num_rows(self) -> int | None:
        """Number of rows, where it is known without reading them."""
        return None if self._indices is None else len(self._indices)

    def spread(self, limit: int) -> Iterator[Any]:
        """Batches of at most `limit` rows in all: evenly spaced over a map-style dataset, else the first ones."""
        if self._indices is None:
            return _first_rows(self.batches(), limit)
        number = min(limit, len(self._indices))
        chosen = [self._indices[k * len(self._indices) // number] for k in range(number)]
        return _guarded(self._by_index(chosen))

    def batches(self) -> Iterator[Any]:
        """All batches, in fixed order."""
        if self._indices is not None:
            return _guarded(self._by_index(self._indices))
        return _guarded(_in_one_process(self._loader))

    def _by_index(self, indices: Sequence[Any]) -> Iterable[Any]:
        assert isinstance(self._loader, DataLoader)
        size = self.batch_size
        lists = [list(indices[start : start + size]) for start in range(0, len(indices), size)]
        return DataLoader(self._loader.dataset, batch_sampler=lists, collate_fn=self._loader.collate_fn)


@final
class BatchList:
    """A sequence of batches as a loader: Lightning takes a list for several loaders."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)


def is_loader(value: Any) -> bool:
    """Whether `value` gives batches each time it is iterated; an iterator gives them once."""
    return hasattr(value, "__iter__") and not isinstance(value, Iterator | str | bytes | dict | Tensor | np.ndarray)


def _guarded(batches: Iterable[Any]) -> Iterator[Any]:
    # The streams are fixed while a batch is made, and not while its user works with it.
    with unchanged_streams(0):
        iterator = iter(batches)
    for number in range(1 << 62):
        with unchanged_streams(number):
            batch = next(iterator, _END)
        if batch is _END:
            return
        yield batch


_END = object()


def _first_rows(batches: Iterator[Any], limit: int) -> Iterator[Any]:
    for batch in batches:
        x = datum_of(batch)
        if not isinstance(x, Tensor) or not x.ndim:
            yield batch
            return
        if len(x) >= limit:
            yield _head(batch, limit, len(x))
            return
        yield batch
        limit -= len(x)


def _head(batch: Any, limit: int, length: int) -> Any:
    if isinstance(batch, Tensor):
        return batch[:limit] if batch.ndim and len(batch) == length else batch
    if isinstance(batch, tuple | list):
        parts = [_head(part, limit, length) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


def _indices_of(loader: Any) -> Sequence[Any] | None:
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return None
    dataset, batch_sampler = loader.dataset, loader.batch_sampler
    if batch_sampler is None:
        return None  # an index stands for whole batches
    if type(batch_sampler) is not BatchSampler:
        batches = islice(_copied(batch_sampler, dataset), _length(batch_sampler))
        return _distinct(chain.from_iterable(batches))
    sampler: Any = batch_sampler.sampler
    if type(sampler) in (SequentialSampler, RandomSampler):
        return range(len(dataset))  # type: ignore[arg-type]
    return _distinct(islice(_copied(sampler, dataset), _length(sampler)))


def _length(sampler: Any) -> int:
    return len(sampler) if hasattr(sampler, "__len__") else _UNKNOWN_LENGTH


def _distinct(indices: Iterable[Any]) -> list[Any] | None:
    try:
        return sorted(set(indices))
    except TypeError:  # indices of a form of the dataset's own: the loader is iterated
        return None


def _copied(iterable: Any, shared: object) -> Any:
    # A copy has generators and counters of its own; the rows are not copied with it.
    try:
        return copy.deepcopy(iterable, {id(shared): shared})
    except _UNCOPYABLE:
        return iterable


def _in_one_process(loader: Iterable[Any]) -> Iterable[Any]:
    if isinstance(loader, BatchList):
        return loader
    if not isinstance(loader, DataLoader):
        copied: Iterable[Any] = _copied(loader, None)
        return copied
    if isinstance(loader.dataset, IterableDataset):
        rows: IterableDataset[Any] = _copied(loader.dataset, None)
        return DataLoader(rows, batch_size=loader.batch_size, collate_fn=loader.collate_fn)
    if loader.batch_sampler is not None:
        batch_sampler = _copied(loader.batch_sampler, loader.dataset)
        return DataLoader(loader.dataset, batch_sampler=batch_sampler, collate_fn=loader.collate_fn)
    # A sampler of single indices, or of lists of them, each of which the dataset answers with a batch.
    sampler = _copied(loader.sampler, loader.dataset)
    return DataLoader(loader.dataset, sampler=sampler, batch_size=None, collate_fn=loader.collate_fn)
