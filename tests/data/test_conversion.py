"""The form in which arrays are stored: type, level of intensity 1, and what the batches will hold."""

import re

import numpy as np
import pytest

from reparam_suite.data.conversion import check_form, stored
from reparam_suite.runtime.errors import DataError

GREY = np.arange(0, 256, 5, dtype=np.uint8)[:48].reshape(4, 1, 3, 4)
BITS = np.array([[0, 1, 1], [1, 0, 0]])


def of(*arrays, stated=None, binarizes=False):
    named = dict(zip(("train", "valid"), arrays, strict=False))
    return stored(named, arrays[0].shape[1:], stated=stated, binarizes=binarizes, where="here")


@pytest.mark.parametrize(
    ("array", "options", "dtype", "levels", "kind"),
    [
        (GREY, {}, "uint8", 255, "grey"),
        (GREY, {"binarizes": True}, "uint8", 255, "binary"),
        (GREY, {"binarizes": True, "stated": "grey"}, "uint8", 255, "grey"),
        (GREY, {"stated": "real"}, "float32", None, "real"),
        (BITS.astype(np.uint8) * 255, {"stated": "binary", "binarizes": True}, "uint8", 255, "binary"),
        (BITS, {}, "uint8", 1, "binary"),
        (BITS.astype(bool), {}, "uint8", 1, "binary"),
        (BITS.astype(float), {}, "uint8", 1, "binary"),
        (BITS * 255, {}, "uint8", None, "count"),
        (BITS * 256, {}, "float32", None, "count"),
        (BITS - 1, {}, "float32", None, "real"),
        (BITS / 3, {}, "float32", None, "real"),
    ],
)
def test_each_kind_has_the_smallest_type_that_holds_it(array, options, dtype, levels, kind):
    found = of(array, **options)
    rows = found.rows["train"]
    assert (str(rows.dtype), found.levels, found.kind) == (dtype, levels, kind)
    np.testing.assert_array_equal(rows, array.reshape(len(array), -1).astype(dtype))
    assert not np.shares_memory(rows, array)


def test_one_split_decides_the_type_of_all():
    found = of(BITS * 7, BITS * 300)
    assert {str(rows.dtype) for rows in found.rows.values()} == {"float32"}


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (
            np.array([[0.0], [np.inf], [np.nan]]),
            {},
            "train: expected finite float32 values, got NaN or infinity in row 1",
        ),
        (np.array([[1.0], [1e39]]), {}, "train: expected finite float32 values, got NaN or infinity in row 1"),
        (
            np.array([[-(2**24) - 1], [3]]),
            {},
            "train: expected integers up to 16777216, exact in float32, got -16777217 to 3",
        ),
        (BITS.astype(np.uint8) * 9, {"stated": "binary"}, 'kind "binary": expected 0 and 1, got values up to 9'),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(array, options, message):
    with pytest.raises(DataError, match=f"^here: {re.escape(message)}"):
        of(array, **options)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((3, 2), "<U1", "x: expected bool, integers or floating point, got <U1"),
        ((3,), "float32", "x: expected a shape [N, ...] with nothing empty, got (3,)"),
        ((3, 0), "float32", "x: expected a shape [N, ...] with nothing empty, got (3, 0)"),
    ],
)
def test_the_form_is_looked_at_before_anything_is_read(shape, dtype, message):
    with pytest.raises(DataError, match=f"^here: {re.escape(message)}$"):
        check_form("here", "x", shape, np.dtype(dtype))
    check_form("here", "x", (3, 2), np.dtype("int8"))
