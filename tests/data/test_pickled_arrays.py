"""Pickles of arrays: read as Python 2 wrote them, and no code is run by any."""

import pickle

import numpy as np
import pytest
from tests.data.formats import pickled_by_python_2

from reparam_suite.data import DataError
from reparam_suite.data.pickled_arrays import arrays_of_pickle

X = np.arange(6, dtype=np.uint8).reshape(2, 3)


def test_arrays_lists_and_texts_are_read():
    held = arrays_of_pickle(pickled_by_python_2(data=X, labels=[3, 1], batch_label="one"), "batch")
    assert np.array_equal(held["data"], X)
    assert (held["labels"], held["batch_label"]) == ([3, 1], b"one")


class Planted:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        import os

        return os.system, ("touch planted",)


def planted() -> bytes:
    return pickle.dumps({"data": Planted(), "labels": [1]}, protocol=2)


GOOD = pickled_by_python_2(data=X, labels=[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (planted(), "expected a pickle of arrays, got one that names posix.system, which is not loaded"),
        (pickle.dumps({"data": np.zeros(3)}), r"expected a pickle of arrays, got one that names numpy\.\w+\.multi"),
        (
            pickle.dumps({"data": np.float64}),
            r"expected a pickle of arrays, got one that names numpy\.float64, which is",
        ),
        (GOOD[:-9], "expected a pickle of arrays, got one that cannot be read: "),
        (pickle.dumps([1]), "expected a pickled dictionary, got list"),
        (GOOD.replace(b"u1", b"f8"), "expected arrays of uint8, got an array of another form"),
        (GOOD.replace(b"J\x03", b"J\x04"), r"expected \(2, 4\) bytes, got 6"),
    ],
    ids=["code", "other names", "a type", "cut off", "a list", "another type", "another shape"],
)
def test_a_pickle_that_holds_something_else_is_refused_and_runs_no_code(content, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"^batch: {message}"):
        arrays_of_pickle(content, "batch")
    assert not list(tmp_path.iterdir())
