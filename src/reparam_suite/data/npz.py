"""Reading .npz files that others wrote: never a pickle, and every failure is a DataError that names the file."""

import math
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from reparam_suite.data.kinds import Array
from reparam_suite.runtime.errors import DataError

_SUFFIX = ".npy"

_DEFLATE_RATIO = 1_032  # no byte of a deflated member stands for more bytes than this

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected an .npz file, got a path that does not exist") from error
    except _UNREADABLE as error:
        raise DataError(f"{path} cannot be read as an .npz file: {error or type(error).__name__}") from error


def keys(path: Path) -> list[str]:
    """The names of the arrays.

    Raises:
        DataError: if the file cannot be read, or two arrays have one name.
    """
    with _naming(path), zipfile.ZipFile(path) as file:
        for member in file.infolist():
            file.open(member).close()  # compares the directory's name with the member's own: damage hides an array
        names = [name.removesuffix(_SUFFIX) for name in file.namelist()]
        for name, number in Counter(name.removesuffix(_SUFFIX) for name in names).items():
            if number > 1:
                held = ", ".join(member for member in file.namelist() if member.startswith(name))
                raise DataError(f"{path}: expected one array {name}, got {number}: {held}")
        return names


def header(path: Path, key: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of one array, without loading it.

    Raises:
        DataError: if the file cannot be read, or cannot hold as much as the header says.
    """
    with _naming(path), zipfile.ZipFile(path) as file:
        return _header(path, file, key)


def arrays(path: Path, names: list[str]) -> dict[str, Array]:
    """The named arrays.

    Raises:
        DataError: if the file cannot be read, or an array does not fit in memory.
    """
    with _naming(path), zipfile.ZipFile(path) as file:
        return {name: _array(path, file, name) for name in names}


def _array(path: Path, file: zipfile.ZipFile, key: str) -> Array:
    shape, dtype = _header(path, file, key)
    size, memory = math.prod(shape) * dtype.itemsize, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise DataError(f"{path}: {key}: expected at most {_told(memory)}, the machine's memory, got {_told(size)}")
    with file.open(key + _SUFFIX) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        member.read(1)  # the end of a member is where its checksum is compared
        return array


def _header(path: Path, file: zipfile.ZipFile, key: str) -> tuple[tuple[int, ...], np.dtype]:
    if key + _SUFFIX not in file.namelist():
        raise DataError(f"{path}: expected a member {key}{_SUFFIX}, got {', '.join(file.namelist())}")
    with file.open(key + _SUFFIX) as member:
        if np.lib.format.read_magic(member) == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    if any(isinstance(size, bool) or size < 0 for size in shape):
        raise DataError(f"{path}: {key}: expected a shape, got {shape}")
    claimed, held = math.prod(shape) * dtype.itemsize, file.getinfo(key + _SUFFIX).compress_size * _DEFLATE_RATIO
    if not dtype.hasobject and claimed > held:
        raise DataError(
            f"{path}: {key}: expected at most {_told(held)} in a file of this size, "
            f"got a header of {dtype} {shape}, {_told(claimed)}"
        )
    return shape, dtype


def _told(size: int) -> str:
    unit = min(6, max(0, size.bit_length() - 1) // 10)
    return f"{size / 1024**unit:.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')[unit]}"
