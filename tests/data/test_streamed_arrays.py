"""Arrays in .npy files: their kinds, the rows that are held out, and files that are refused."""

import numpy as np
import pytest
from tests.data.test_rows import saved

from reparam_suite.data import DataError, StreamedArrays


def test_held_out_rows_are_taken_where_they_are_not_given(files):
    data = StreamedArrays(train=files["train"], batch_size=100)
    assert data.num_rows == {"train": 67, "valid": 8, "test": 8}
    rows = np.load(files["train"])
    (valid,), (test,) = data.undivided("valid"), data.undivided("test")
    assert np.array_equal(np.rint(valid.numpy() * 255), rows[8::10])
    assert np.array_equal(np.rint(test.numpy() * 255), rows[9::10])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: {"train": path / "none.npy"}, "none.npy: expected an .npy file, got a path that does not exist"),
        (
            lambda path: {"train": saved(path / "x.npy", np.zeros((20, 2)), cut=8)},
            r"x.npy: expected 448 B of float64 \(20, 2\), got a file of 440 B",
        ),
        (
            lambda path: {"train": saved(path / "x.npy", np.asfortranarray(np.zeros((20, 2))))},
            r"x.npy: expected rows in C order, got columns: save numpy.ascontiguousarray\(x\)",
        ),
        (lambda path: {"train": saved(path / "x.npy", np.zeros(20))}, r"train: expected a shape \[N, \.\.\.\]"),
        (
            lambda path: {"train": saved(path / "x.npy", np.zeros((20, 2), "U3"))},
            "train: expected bool, integers",
        ),
        (
            lambda path: {
                "train": saved(path / "x.npy", np.zeros((20, 2))),
                "valid": saved(path / "y.npy", np.zeros((20, 3))),
            },
            r"y.npy: expected float64 \[N, 2\] like .*x.npy, got float64 \[20, 3\]",
        ),
        (
            lambda path: {"train": saved(path / "x.npy", np.zeros((9, 2)))},
            "x.npy: expected at least 10 rows to take validation and test rows from, got 9; or give valid and test",
        ),
        (
            lambda path: {"train": saved(path / "x.npy", np.full((20, 2), np.nan))},
            "x.npy: train: expected finite values, got NaN or infinity",
        ),
    ],
    ids=["missing", "cut off", "columns", "labels only", "texts", "another shape", "few", "not finite"],
)
def test_files_that_cannot_be_used_are_refused(make, message, tmp_path):
    data = StreamedArrays(**make(tmp_path))
    with pytest.raises(DataError, match=message):
        _ = data.kind
