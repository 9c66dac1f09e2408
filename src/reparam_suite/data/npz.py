"""Reading .npz and .npy files that others wrote: never a pickle; every failure is a DataError that names the file."""

import math
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

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
def _naming(path: Path, suffix: str = ".npz") -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected an {suffix} file, got a path that does not exist") from error
    except _UNREADABLE as error:
        raise DataError(f"{path} cannot be read as an {suffix} file: {error or type(error).__name__}") from error


@final
@dataclass(frozen=True)
class NpyHeader:
    """The header of an .npy file.

    Attributes:
        shape: of the array, [N, ...].
        dtype: of its numbers.
        offset: of the first of them in the file, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def npy_header(path: Path) -> NpyHeader:
    """The header of an .npy file whose rows follow one another.

    Raises:
        DataError: if the file cannot be read, or is shorter than its header says.
    """
    with _naming(path, ".npy"), path.open("rb") as file:
        shape, is_fortran, dtype = _read_header(file)
        header = NpyHeader(_checked_shape(path, shape), dtype, file.tell())
        held = os.fstat(file.fileno()).st_size
    if is_fortran and len(shape) > 1:
        raise DataError(f"{path}: expected rows in C order, got columns: save numpy.ascontiguousarray(x)")
    claimed = header.offset + math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and held < claimed:
        raise DataError(f"{path}: expected {_told(claimed)} of {dtype} {shape}, got a file of {_told(held)}")
    return header


def npy_array(path: Path) -> Array:
    """The array of an .npy file.

    Raises:
        DataError: if the file cannot be read, or the array does not fit in memory.
    """
    header = npy_header(path)
    _check_fits(str(path), header.shape, header.dtype)
    with _naming(path, ".npy"):
        array: Array = np.load(path, allow_pickle=False)
        return array


def _check_fits(where: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    size, memory = math.prod(shape) * dtype.itemsize, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise DataError(f"{where}: expected at most {_told(memory)}, the machine's memory, got {_told(size)}")


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _checked_shape(where: object, shape: tuple[int, ...]) -> tuple[int, ...]:
    if any(isinstance(size, bool) or size < 0 for size in shape):
        raise DataError(f"{where}: expected a shape, got {shape}")
    return shape


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
    _check_fits(f"{path}: {key}", shape, dtype)
    with file.open(key + _SUFFIX) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        member.read(1)  # the end of a member is where its checksum is compared
        return array


def _header(path: Path, file: zipfile.ZipFile, key: str) -> tuple[tuple[int, ...], np.dtype]:
    if key + _SUFFIX not in file.namelist():
        raise DataError(f"{path}: expected a member {key}{_SUFFIX}, got {', '.join(file.namelist())}")
    with file.open(key + _SUFFIX) as member:
        shape, _, dtype = _read_header(member)
    _checked_shape(f"{path}: {key}", shape)
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
