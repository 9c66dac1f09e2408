"""Files of arrays by their suffix: .npz of several, .npy of one, .parquet of columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np

from reparam_suite.data import npz
from reparam_suite.data.kinds import Array
from reparam_suite.runtime.errors import DataError

ONE = "x_train"
"""The name of the only array of a file."""


class ArrayFile(Protocol):
    """A file of named arrays; every failure is a DataError that names the file."""

    def keys(self) -> list[str]:
        """The names of the arrays."""

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and type of one array, without loading it."""

    def arrays(self, keys: list[str]) -> dict[str, Array]:
        """The named arrays."""


def array_file(path: Path, columns: Sequence[str] | None) -> ArrayFile:
    """The file at a path; one of another suffix is taken for an .npz.

    Raises:
        DataError: if columns are named and it is no .parquet file.
    """
    if path.suffix == ".parquet":
        return _Parquet(path, columns)
    if columns is not None:
        raise DataError(f"{path}: columns: expected a .parquet file to take them from, got {path.suffix or path.name}")
    return _Npy(path) if path.suffix == ".npy" else _Npz(path)


@final
class _Npz:
    def __init__(self, path: Path) -> None:
        self._path = path

    def keys(self) -> list[str]:
        return npz.keys(self._path)

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype]:
        return npz.header(self._path, key)

    def arrays(self, keys: list[str]) -> dict[str, Array]:
        return npz.arrays(self._path, keys)


@final
class _Npy:
    def __init__(self, path: Path) -> None:
        self._path = path

    def keys(self) -> list[str]:
        return [ONE]

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype]:  # noqa: ARG002
        header = npz.npy_header(self._path)
        return header.shape, header.dtype

    def arrays(self, keys: list[str]) -> dict[str, Array]:
        return {key: npz.npy_array(self._path) for key in keys}


@final
class _Parquet:
    # A row holds the numbers of its columns one after the other; a single column of lists, or of lists of lists, keeps
    # their shape.
    def __init__(self, path: Path, columns: Sequence[str] | None) -> None:
        self._path = path
        self._columns = columns

    def keys(self) -> list[str]:
        return [ONE]

    def header(self, key: str) -> tuple[tuple[int, ...], np.dtype]:  # noqa: ARG002
        with _Opened(self._path) as file:
            first = next(file.iter_batches(batch_size=1, columns=self._chosen(file)), None)
            if first is None:
                raise DataError(f"{self._path}: expected rows, got none")
            row = self._array(first)
            return (file.metadata.num_rows, *row.shape[1:]), row.dtype

    def arrays(self, keys: list[str]) -> dict[str, Array]:
        with _Opened(self._path) as file:
            array = self._array(file.read(columns=self._chosen(file)).combine_chunks())
        return dict.fromkeys(keys, array)

    def _chosen(self, file: Any) -> list[str]:
        there = file.schema_arrow.names
        chosen = there if self._columns is None else list(self._columns)
        missing = [name for name in chosen if name not in there]
        if missing or not chosen:
            wanted = " and ".join(missing) or "at least one"
            raise DataError(f"{self._path}: columns: expected {wanted}, got a file of {', '.join(there) or 'none'}")
        return chosen

    def _array(self, table: Any) -> Array:
        parts = [self._part(name, table.column(name)) for name in table.schema.names]
        if len(parts) == 1:
            return parts[0] if parts[0].ndim > 1 else parts[0][:, None]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    def _part(self, name: str, column: Any) -> Array:
        import pyarrow as pa

        values, shape = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column, [len(column)]
        while True:
            if values.null_count:
                raise self._refusal(name, "numbers in every row", f"{values.null_count} missing")
            if not _is_list(values.type):
                break
            inner = values.flatten()
            size, rest = divmod(len(inner), max(1, len(values)))
            if rest or not (np.diff(_offsets(values)) == size).all():
                raise self._refusal(name, "lists of one length", "lists of several")
            values = inner
            shape.append(size)
        if not (
            pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)
        ):
            raise self._refusal(name, "numbers, or lists of numbers", str(values.type))
        array: Array = values.to_numpy(zero_copy_only=False).reshape(shape)
        return array

    def _refusal(self, name: str, expected: str, got: str) -> DataError:
        return DataError(f"{self._path}: column {name}: expected {expected}, got {got}")


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _offsets(values: Any) -> Array:
    # Where each list begins, and the last one ends; of lists of fixed size there is one length.
    if hasattr(values, "offsets"):
        offsets: Array = values.offsets.to_numpy()
        return offsets
    return np.arange(len(values) + 1) * int(values.type.list_size)


@final
class _Opened:
    # A .parquet file; what cannot be read is refused by name.
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def __enter__(self) -> Any:
        from pyarrow.parquet import ParquetFile  # half a second

        if not self._path.is_file():
            raise DataError(f"{self._path}: expected a .parquet file, got a path that does not exist")
        try:
            self._file = ParquetFile(self._path, memory_map=True)
        except (OSError, ValueError) as error:
            raise DataError(f"{self._path} cannot be read as a .parquet file: {_first_line(error)}") from error
        return self._file

    def __exit__(self, kind: Any, error: BaseException | None, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if isinstance(error, OSError | MemoryError):
            raise DataError(f"{self._path} cannot be read as a .parquet file: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
