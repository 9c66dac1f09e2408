"""Rows of a file by their numbers, and those that are taken for the held-out splits."""

from pathlib import Path

import numpy as np
import pytest

from reparam_suite.data import DataError
from reparam_suite.data.rows import NpyRows, SomeRows, as_tensor, tenths


def saved(path: Path, array: np.ndarray, cut: int = 0) -> Path:
    np.save(path, array)
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    return path


def test_a_file_that_has_shrunk_is_named(tmp_path):
    rows = NpyRows(saved(tmp_path / "x.npy", np.arange(40.0).reshape(20, 2)))
    assert rows.read(np.array([3, 4, 5, 19, 0])).tolist() == [[6, 7], [8, 9], [10, 11], [38, 39], [0, 1]]
    saved(tmp_path / "x.npy", np.arange(40.0).reshape(20, 2), cut=16)
    with pytest.raises(DataError, match=r"x\.npy: expected 20 rows, got the end of the file before"):
        rows.read(np.array([19]))


def test_some_rows_are_counted_anew(tmp_path):
    rows = SomeRows(NpyRows(saved(tmp_path / "x.npy", np.arange(20)[:, None])), np.array([2, 3, 5, 7, 11, 13]))
    assert (len(rows), rows.event_shape) == (6, (1,))
    assert rows.read(np.array([5, 0])).tolist() == [[13], [2]]
    assert rows.spread(3).tolist() == [[2], [5], [11]]
    assert as_tensor(rows.read(np.array([1]))).tolist() == [[3.0]]


def test_the_ninth_and_the_tenth_of_every_ten_are_held_out():
    found = tenths(20, valid=True, test=True)
    assert {split: some.tolist()[-2:] for split, some in found.items()} == {
        "train": [16, 17],
        "valid": [8, 18],
        "test": [9, 19],
    }
    assert {split: len(some) for split, some in tenths(20, valid=False, test=True).items()} == {"train": 18, "test": 2}
