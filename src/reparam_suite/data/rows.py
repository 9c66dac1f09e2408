"""Rows that are read where they are stored, a batch at a time."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from reparam_suite.data import npz
from reparam_suite.data.kinds import Array
from reparam_suite.runtime.errors import DataError


class Rows(ABC):
    """Rows of one split: their number, their shape, and any of them by number. Several threads may read at once."""

    @property
    @abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, indices: Array) -> Array:
        """The rows of these numbers, [b, *event].

        Raises:
            DataError: naming the file, if it cannot be read.
        """

    def spread(self, number: int) -> Array:
        """At most so many rows, evenly spaced."""
        count = min(number, len(self))
        return self.read(np.arange(count) * len(self) // count)


@final
class SomeRows(Rows):
    """Some of other rows.

    Args:
        rows: of which they are some.
        chosen: their numbers.
    """

    def __init__(self, rows: Rows, chosen: Array) -> None:
        self._rows = rows
        self._chosen = chosen

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self._rows.event_shape

    def __len__(self) -> int:
        return len(self._chosen)

    def read(self, indices: Array) -> Array:
        """The rows of these numbers."""
        return self._rows.read(self._chosen[indices])


@final
class ArrayRows(Rows):
    """Rows of an array, in memory or mapped from a file: what is read of it is copied, and nothing else.

    Args:
        array: [N, ...].
    """

    def __init__(self, array: Array) -> None:
        self._array = np.asarray(array)  # indexing a mapped one takes longer

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self._array.shape[1:]

    def __len__(self) -> int:
        return len(self._array)

    def read(self, indices: Array) -> Array:
        """The rows of these numbers."""
        rows: Array = self._array[indices]
        return rows


@final
class NpyRows(Rows):
    """Rows of an .npy file, which stays where it is: what was read is not kept in memory.

    Rows are read, and not mapped: pages of a mapped file count as memory of the process for as long as there is room.

    Args:
        path: of the file, an array [N, ...] of numbers in C order.

    Raises:
        DataError: if it is none; names the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        header = npz.npy_header(path)
        self._shape, self.dtype, self._offset = header.shape, header.dtype, header.offset
        self._row_bytes = header.row_bytes

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self._shape[1:]

    def __len__(self) -> int:
        return self._shape[0]

    def read(self, indices: Array) -> Array:
        """The rows of these numbers."""
        rows = np.empty((len(indices), *self._shape[1:]), self.dtype)
        flat = memoryview(rows.reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # arrays are buffers
        size = self._row_bytes
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                for first, last in _runs(indices):
                    part = flat[first * size : last * size]
                    self._fill(file, part, self._offset + int(indices[first]) * size)
            finally:
                os.close(file)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}") from error
        return rows

    def _fill(self, file: int, part: memoryview, offset: int) -> None:
        while part:
            count = os.preadv(file, [part], offset)
            if count == 0:
                raise DataError(f"{self.path}: expected {len(self)} rows, got the end of the file before")
            part, offset = part[count:], offset + count


def _runs(indices: Array) -> Iterator[tuple[int, int]]:
    # Stretches of numbers that follow one another: each is one read.
    ends = [*(np.flatnonzero(np.diff(indices) != 1) + 1).tolist(), len(indices)]
    first = 0
    for end in ends:
        yield first, end
        first = end


def as_tensor(rows: Array) -> Tensor:
    """[b, *event] in uint8 as it is, everything else in float32."""
    return torch.from_numpy(rows if rows.dtype == np.uint8 else rows.astype(np.float32))


_EVERY = 10  # of ten rows in a row the ninth validates and the tenth tests, where those splits are not given


def tenths(number: int, *, valid: bool, test: bool) -> dict[str, Array]:
    """The numbers of the training rows, and of those taken from them: the ninth and the tenth of every ten.

    Args:
        number: of rows.
        valid: whether validation rows are taken.
        test: whether test rows are taken.
    """
    numbers = np.arange(number)
    tenth = numbers % _EVERY
    taken = {"valid": tenth == _EVERY - 2} if valid else {}
    taken |= {"test": tenth == _EVERY - 1} if test else {}
    left = ~np.logical_or.reduce([np.zeros(number, bool), *taken.values()])
    return {"train": numbers[left]} | {split: numbers[chosen] for split, chosen in taken.items()}


FEWEST_TENTHS = _EVERY
"""Rows that it takes to have some of each."""
