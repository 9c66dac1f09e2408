"""One array in an .npy file, columns of a .parquet file: the rows, and what is refused by name."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow.parquet import write_table

from reparam_suite.data import Arrays, DataError

X = np.random.default_rng(1).normal(size=(20, 2, 3)).astype(np.float32)


def rows_of(data: Arrays) -> np.ndarray:
    return torch.cat([*data.undivided("train"), *data.undivided("valid"), *data.undivided("test")]).numpy()


def in_order(x: np.ndarray) -> np.ndarray:
    tenth = np.arange(len(x)) % 10
    return np.concatenate([x[tenth < 8], x[tenth == 8], x[tenth == 9]])


def parquet(path: Path, **columns) -> Path:
    write_table(pa.table(columns), path, row_group_size=7)
    return path


def test_an_npy_file_is_training_rows(tmp_path):
    np.save(tmp_path / "x.npy", X)
    data = Arrays(path=tmp_path / "x.npy")
    assert (data.event_shape, data.kind) == ((2, 3), "real")
    assert np.array_equal(rows_of(data), in_order(X))


def test_a_column_of_lists_keeps_their_shape(tmp_path):
    lists = parquet(tmp_path / "x.parquet", x=X.tolist(), y=list(range(20)))
    data = Arrays(path=lists, columns=["x"])
    assert data.event_shape == (2, 3)
    assert np.array_equal(rows_of(data), in_order(X))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(80, dtype=np.uint8) * 3), 4)
    data = Arrays(path=parquet(tmp_path / "y.parquet", x=fixed), kind="count")
    assert data.event_shape == (4,)
    assert rows_of(data).sum() == (np.arange(80) * 3).sum()


def test_several_columns_stand_side_by_side(tmp_path):
    path = parquet(tmp_path / "x.parquet", b=X[:, 0].tolist(), a=X[:, 1, 0], label=["no number"] * 20)
    data = Arrays(path=path, columns=["a", "b"])
    assert data.event_shape == (4,)
    assert np.array_equal(rows_of(data), in_order(np.concatenate([X[:, 1, :1], X[:, 0]], 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["z"]}, r"x\.parquet: columns: expected z, got a file of a, uneven, text, missing"),
        ({"columns": []}, r"x\.parquet: columns: expected at least one, got a file of a"),
        ({"columns": ["uneven"]}, r"x\.parquet: column uneven: expected lists of one length, got lists of several"),
        ({"columns": ["text"]}, r"x\.parquet: column text: expected numbers, or lists of numbers, got string"),
        ({"columns": ["missing"]}, r"x\.parquet: column missing: expected numbers in every row, got 1 missing"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(options, message, tmp_path):
    path = parquet(
        tmp_path / "x.parquet",
        a=np.arange(20.0),
        uneven=[[1.0, 2.0]] * 10 + [[1.0]] * 5 + [[1.0, 2.0, 3.0]] * 5,
        text=["a"] * 20,
        missing=[1.0] * 19 + [None],
    )
    with pytest.raises(DataError, match=message):
        Arrays(path=path, **options).setup()


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.parquet: expected a \.parquet file, got a path that does not exist"):
        Arrays(path=tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no columns")
    with pytest.raises(DataError, match=r"text\.parquet cannot be read as a \.parquet file: "):
        Arrays(path=tmp_path / "text.parquet")
    empty = parquet(tmp_path / "empty.parquet", a=np.arange(0.0))
    with pytest.raises(DataError, match=r"empty\.parquet: expected rows, got none"):
        Arrays(path=empty)
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(DataError, match=r"x\.npy: columns: expected a \.parquet file to take them from, got \.npy"):
        Arrays(path=tmp_path / "x.npy", columns=["a"])
    np.save(tmp_path / "objects.npy", np.array([["a", None]] * 20, object))
    with pytest.raises(DataError, match=r"objects\.npy: x_train: expected bool, integers or float.* got object"):
        Arrays(path=tmp_path / "objects.npy")
