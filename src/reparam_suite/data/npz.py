"""Reading .npz files that others wrote: never a pickle, and every failure is a DataError that names the file."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from reparam_suite.data.base import Array
from reparam_suite.runtime.errors import DataError


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; accepted is an .npz file") from error
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read as an .npz file: {error or type(error).__name__}") from error


def keys(path: Path) -> list[str]:
    """The names of the arrays."""
    with _naming(path), zipfile.ZipFile(path) as file:
        for name in file.namelist():
            file.open(name).close()  # compares the directory's name with the member's own: a damaged one hides an array
        return [name.removesuffix(".npy") for name in file.namelist()]


def header(path: Path, key: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of one array, without loading it."""
    with _naming(path), zipfile.ZipFile(path) as file, file.open(f"{key}.npy") as member:
        version = np.lib.format.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(member)
        return shape, dtype


def arrays(path: Path, names: list[str]) -> dict[str, Array]:
    """The named arrays."""
    with _naming(path), np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names}
