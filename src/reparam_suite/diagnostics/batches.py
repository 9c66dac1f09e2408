"""Batches of any kind: tensors in tuples, lists and dictionaries, whose first axis holds the data."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Batch = Any
"""Tensors `[B, ...]`, nested in tuples, lists and dictionaries; whatever else stands among them is handed on."""


def mapped(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with `change` applied to each of its tensors that has a batch axis."""
    if isinstance(batch, Tensor):
        return change(batch) if batch.dim() else batch
    if isinstance(batch, dict):
        return type(batch)((name, mapped(value, change)) for name, value in batch.items())
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(value, change) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(mapped(value, change) for value in batch)
    return batch


def num_data(batch: Batch) -> int:
    """B, the number of data.

    Raises:
        ValueError: if the batch has no tensor with a batch axis, or tensors with different numbers of rows.
    """
    lengths = sorted({len(tensor) for tensor in _tensors(batch)})
    if not lengths:
        raise ValueError(f"batch: expected a tensor with a batch axis, got {type(batch).__name__} without one")
    if len(lengths) > 1:
        raise ValueError(f"batch: expected tensors with one number of rows, got {' and '.join(map(str, lengths))}")
    return lengths[0]


def device_of(batch: Batch) -> torch.device:
    """The device of the batch's first tensor."""
    return next(_tensors(batch)).device


def part(batch: Batch, data: slice) -> Batch:
    """The data of a slice."""
    return mapped(batch, lambda tensor: tensor[data])


def split(batch: Batch, size: int) -> list[Batch]:
    """Parts of `size` data each, the last one of what is left."""
    return [part(batch, slice(start, start + size)) for start in range(0, num_data(batch), size)]


def split_evenly(batch: Batch, num_parts: int) -> list[Batch]:
    """`num_parts` parts that are as equal as can be."""
    B = num_data(batch)
    bounds = [-(-index * B // num_parts) for index in range(num_parts + 1)]
    return [part(batch, slice(start, end)) for start, end in pairwise(bounds)]


def repeated(batch: Batch, num_repeats: int) -> Batch:
    """The batch R times along its own axis: row r B + b is repeat r of datum b."""
    return mapped(batch, lambda tensor: tensor.repeat(num_repeats, *(1,) * (tensor.dim() - 1)))


def _tensors(batch: Batch) -> Iterator[Tensor]:
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(batch, keep)
    return iter(found)
